#include "ssdq/importing/source.h"

#include <algorithm>

#include "ssdq/checkpoint/darknet_file.h"
#include "ssdq/importing/name_maps.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

constexpr double kTorchvisionEps = 1e-3;  // of MobileNetV3, as of TensorFlow's networks
const InputScaling kCaffe{{123, 117, 104}, {1, 1, 1}};
const InputScaling kSymmetric{{127, 127, 127}, {128, 128, 128}};
const InputScaling kHalf{{127.5, 127.5, 127.5}, {127.5, 127.5, 127.5}};
const InputScaling kUnit{{0, 0, 0}, {255, 255, 255}};
const InputScaling kImageNet{{123.675, 116.28, 103.53}, {58.395, 57.12, 57.375}};
const std::vector<std::string> kFullyConnected = {"classifier.*", "fc.*", "layer4.*"};

std::vector<ImportSource> detectors() {
  return {
      {"ssdq",
       "bare weights under SSDQ's own names",
       {{{"head.cls.0.weight"}}, {{"head.cls.0.pw.weight"}}},
       map_own_names},
      {"darknet",
       "darknet's .weights, a network of the same cfg",
       {{{kDarknetValues}}},
       map_own_names,
       true,
       false,
       1e-5,
       {},
       kUnit},
      {"lufficc-vgg",
       "lufficc/SSD, VGG-16 of 300 or 512 pixels",
       {{{"backbone.vgg.0.weight"}}},
       map_lufficc_vgg,
       false,
       false,
       1e-5,
       {},
       kCaffe},
      {"lufficc-mobilenet_v2",
       "lufficc/SSD, MobileNetV2",
       {{{"backbone.features.0.0.weight"}}},
       map_lufficc_mobilenet_v2,
       false,
       false,
       1e-5,
       {},
       kCaffe},
      {"lufficc-efficientnet",
       "lufficc/SSD, EfficientNet-B3",
       {{{"backbone._conv_stem.weight"}}},
       map_lufficc_efficientnet,
       false,
       false,
       kTorchvisionEps,
       {},
       kCaffe},
      {"lufficc-cfg",
       "SSD-Pruning-and-quantization, networks of a cfg file",
       {{{"backbone.module_list.0.Conv2d.weight"}}},
       map_lufficc_cfg,
       false,
       false,
       1e-5,
       {"*quantizer*"},
       kCaffe},
      {"pytorch-ssd-vgg16",
       "qfgaohao/pytorch-ssd, vgg16-ssd",
       {{{"base_net.0.weight"}, {"classification_headers.0.weight"}}},
       map_pytorch_ssd_vgg,
       false,
       false,
       1e-5,
       {},
       kCaffe},
      {"pytorch-ssd-mobilenet",
       "qfgaohao/pytorch-ssd, mb1-ssd, mb1-ssd-lite and mb2-ssd-lite",
       {{{"base_net.0.0.weight"}, {"classification_headers.0.weight"}},
        {{"base_net.0.0.weight"},
         {"classification_headers.0.0.weight"},
         {"classification_headers.5.weight"}}},
       map_pytorch_ssd_mobilenet,
       false,
       false,
       1e-5,
       {},
       kSymmetric},
      {"ultralight",
       "Linzaer's Ultra-Light face detectors, slim-320 and RFB-320",
       {{{"base_net.0.0.weight"},
         {"classification_headers.0.0.weight"},
         {"classification_headers.3.weight"}}},
       map_ultralight,
       false,
       false,
       1e-5,
       {},
       kSymmetric},
      {"caffe-vgg_ssd",
       "Wei Liu's Caffe SSD on VGG-16, converted (--prototxt)",
       {{{"conv1_1.weight"}, {"conv4_3_norm.weight"}, {"conv4_3_norm_mbox_conf.weight"}}},
       map_caffe_vgg_ssd,
       false,
       false,
       1e-5,
       {},
       kCaffe,
       true},
      {"nvidia-ssd",
       "NVIDIA's SSD300 on ResNet",
       {{{"feature_extractor.feature_extractor.0.weight"}, {"conf.0.weight"}, {"loc.0.weight"}}},
       map_nvidia_ssd,
       false,
       true,
       1e-5,
       {},
       kImageNet},
      {"torchvision-ssd300_vgg16",
       "torchvision's detector on VGG-16",
       {{{"backbone.features.0.weight"}, {"head.classification_head.module_list.0.weight"}}},
       map_torchvision_ssd300,
       false,
       false,
       1e-5,
       {},
       kCaffe},
      {"torchvision-ssdlite320",
       "torchvision's ssdlite320_mobilenet_v3_large",
       {{{"backbone.features.0.0.0.weight"},
         {"head.classification_head.module_list.0.0.0.weight"}}},
       map_torchvision_ssdlite320,
       false,
       false,
       kTorchvisionEps,
       {},
       kHalf},
      {"ncnn-mobilenet_v2_ssdlite",
       "TensorFlow's MobileNetV2-SSDLite as an ncnn network, batch norm folded, float or int8",
       {{{"conv/project.weight"}, {"conv_13/expand_mbox_conf.weight"}}},
       map_ncnn_mobilenet_v2_ssdlite,
       false,
       false,
       kTorchvisionEps,
       {},
       kHalf},
  };
}

std::vector<ImportSource> classifiers() {
  return {
      {"vgg16_reducedfc",
       "VGG-16 with fc6 and fc7 as convolutions",
       {{{"31.weight", {1024, 512, 3, 3}}, {"33.weight", {1024, 1024, 1, 1}}}},
       map_vgg_reducedfc,
       true,
       false,
       1e-5,
       {},
       kCaffe},
      {"caffe-vgg16_reducedfc",
       "Caffe's VGG-16 with fc6 and fc7 as convolutions, converted (--prototxt)",
       {{{"conv1_1.weight"},
         {"fc6.weight", {1024, 512, 3, 3}},
         {"conv4_3_norm_mbox_conf.weight", {}, true}}},
       map_caffe_vgg_ssd,
       true,
       false,
       1e-5,
       {"fc8.*"},
       kCaffe,
       true},
      {"torchvision-vgg16",
       "torchvision's vgg16 and vgg16_bn",
       {{{"features.0.weight", {64, 3, 3, 3}}, {"features.28.weight"}},
        {{"features.0.weight", {64, 3, 3, 3}}, {"features.40.running_mean"}},
        {{"features.0.weight", {64, 3, 3, 3}}, {"features.41.running_mean"}}},
       map_torchvision_vgg,
       true,
       false,
       1e-5,
       {"classifier.*"},
       kImageNet},
      {"torchvision-mobilenet_v2",
       "torchvision's mobilenet_v2",
       {{{"features.0.0.weight"}, {"features.1.conv.0.0.weight"}}},
       map_torchvision_mobilenet_v2,
       true,
       false,
       1e-5,
       kFullyConnected,
       kImageNet},
      {"torchvision-mobilenet_v3",
       "torchvision's mobilenet_v3_large",
       {{{"features.0.0.weight"}, {"features.1.block.0.0.weight"}}},
       map_torchvision_mobilenet_v3,
       true,
       false,
       kTorchvisionEps,
       kFullyConnected,
       kImageNet},
      {"torchvision-resnet",
       "torchvision's resnet18, 34 and 50",
       {{{"conv1.weight"}, {"layer1.0.conv1.weight"}}},
       map_torchvision_resnet,
       true,
       false,
       1e-5,
       kFullyConnected,
       kImageNet},
      {"efficientnet-pytorch",
       "lukemelas/EfficientNet-PyTorch, B3",
       {{{"_conv_stem.weight"}, {"_blocks.0._depthwise_conv.weight"}}},
       map_efficientnet,
       true,
       false,
       kTorchvisionEps,
       {"_conv_head.*", "_bn1.*", "_fc.*"},
       kImageNet},
  };
}

bool has(const std::map<std::string, torch::Tensor>& file, const SourceMark& mark) {
  const auto tensor = file.find(mark.name);
  return tensor != file.end() &&
         (mark.shape.empty() || tensor->second.sizes() == c10::IntArrayRef(mark.shape));
}

bool fits(const std::map<std::string, torch::Tensor>& file, const ImportSource& source) {
  return std::any_of(source.marks.begin(), source.marks.end(), [&](const auto& marks) {
    return std::all_of(marks.begin(), marks.end(),
                       [&](const SourceMark& mark) { return has(file, mark) != mark.absent; });
  });
}

std::vector<std::string> names_of(const std::vector<ImportSource>& sources) {
  std::vector<std::string> names;
  for (const auto& source : sources) {
    names.push_back(source.name);
  }
  return names;
}

}  // namespace

const std::vector<ImportSource>& import_sources() {
  static const std::vector<ImportSource> sources = [] {
    auto all = detectors();
    for (auto& classifier : classifiers()) {
      all.push_back(std::move(classifier));
    }
    return all;
  }();
  return sources;
}

const ImportSource& find_import_source(const std::string& name) {
  for (const auto& source : import_sources()) {
    if (source.name == name) {
      return source;
    }
  }
  fail_config("unknown source '{}'{}", name, suggestion(name, names_of(import_sources())));
}

const ImportSource& detect_source(const State& file) {
  const std::map<std::string, torch::Tensor> tensors(file.begin(), file.end());
  std::vector<const ImportSource*> found;
  for (const auto& source : import_sources()) {
    if (fits(tensors, source)) {
      found.push_back(&source);
    }
  }
  SSDQ_CHECK(!found.empty(),
             "the names of its {} tensors{} are of none of the known sources; expected one of {}",
             file.size(), file.empty() ? "" : " ('" + file.front().first + "', ...)",
             join(names_of(import_sources()), ", "));
  SSDQ_CHECK(found.size() == 1,
             "its names are both of {} and of {}; say which with --source (one of {})",
             found[0]->name, found[1]->name, join(names_of(import_sources()), ", "));
  return *found.front();
}

}  // namespace ssdq
