#include <algorithm>
#include <cmath>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/torch.h>
#include <opencv2/dnn.hpp>

#include "../checkpoint/caffe_testing.h"
#include "../utils/temp_folder.h"
#include "ssdq/checkpoint/caffe_file.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"
#include "ssdq/importing/import_state.h"
#include "ssdq/modeling/state.h"

namespace ssdq::testing {
namespace {

constexpr int kThinner = 16;  // than the published network, in channels
constexpr int kClasses = 21;

// The prototxt of Wei Liu's SSD300 with random values, written down from the published one.
class CaffeSsd {
 public:
  CaffeSsd() {
    text_ = "input: \"data\"\ninput_dim: [1, 3, 300, 300]\n";
    const std::vector<std::pair<int, int>> blocks = {
        {2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}};
    std::string last = "data";
    int channels = 3;
    for (size_t block = 0; block < blocks.size(); ++block) {
      const int width = blocks[block].second / kThinner;
      for (int i = 0; i < blocks[block].first; ++i) {
        last = conv(fmt::format("conv{}_{}", block + 1, i + 1), last,
                    std::exchange(channels, width), width, "kernel_size: 3 pad: 1");
      }
      last = layer(fmt::format("pool{}", block + 1), "Pooling", last,
                   block < 4 ? "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
                             : "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 }");
    }
    const int fc = 1024 / kThinner;
    last = conv("fc6", last, channels, fc, "kernel_size: 3 pad: 6 dilation: 6");
    last = conv("fc7", last, fc, fc, "kernel_size: 1");
    channels = fc;
    for (int i = 6; i < 10; ++i) {
      const int width = (i == 6 ? 256 : 128) / kThinner;
      last = conv(fmt::format("conv{}_1", i), last, channels, width, "kernel_size: 1");
      channels = 2 * width;
      last = conv(fmt::format("conv{}_2", i), last, width, channels,
                  i < 8 ? "kernel_size: 3 pad: 1 stride: 2" : "kernel_size: 3");
    }
    const int norm = 512 / kThinner;
    layers_.push_back({"conv4_3_norm", "Normalize", {{{norm}, std::vector<float>(norm, 20)}}});
    layer("conv4_3_norm", "Normalize", "conv4_3",
          "norm_param { across_spatial: false channel_shared: false }");
    add_heads();
  }

  const std::string& prototxt() const { return text_; }
  std::string model() const { return caffemodel(layers_); }

 private:
  std::string layer(const std::string& name, const std::string& type, const std::string& bottom,
                    const std::string& parameters) {
    text_ +=
        fmt::format("layer {{ name: \"{0}\" type: \"{1}\" bottom: \"{2}\" top: \"{0}\" {3} }}\n",
                    name, type, bottom, parameters);
    return name;
  }

  std::string conv(const std::string& name, const std::string& bottom, int in, int out,
                   const std::string& window, bool relu = true) {
    const int kernel = window.find("kernel_size: 3") != std::string::npos ? 3 : 1;
    const std::vector<int64_t> shape = {out, in, kernel, kernel};
    const double scale = std::sqrt(2.0 / (in * kernel * kernel));
    layers_.push_back({name, "Convolution", {random(shape, scale), random({out}, 0.1)}});
    layer(name, "Convolution", bottom,
          fmt::format("convolution_param {{ num_output: {} {} }}", out, window));
    if (relu) {
      text_ += fmt::format(
          "layer {{ name: \"{0}_relu\" type: \"ReLU\" bottom: \"{0}\" top: \"{0}\" }}\n", name);
    }
    return name;
  }

  static CaffeBlob random(const std::vector<int64_t>& shape, double scale) {
    const auto values = (torch::randn(shape) * scale).contiguous();
    return {shape, {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()}};
  }

  // A head's values, box by box.
  std::string flat_head(const std::string& feature, const char* kind, int in, int out) {
    const std::string name = feature + kind;
    conv(name, feature, in, out, "kernel_size: 3 pad: 1", false);
    layer(name + "_perm", "Permute", name, "permute_param { order: 0 order: 2 order: 3 order: 1 }");
    return layer(name + "_flat", "Flatten", name + "_perm", "flatten_param { axis: 1 }");
  }

  void add_heads() {
    struct Level {
      const char* feature;
      int channels, min, max, step;
      bool three;
    };
    std::string locations, scores, priors;
    for (const Level& level :
         {Level{"conv4_3_norm", 512, 30, 60, 8, false}, Level{"fc7", 1024, 60, 111, 16, true},
          Level{"conv6_2", 512, 111, 162, 32, true}, Level{"conv7_2", 256, 162, 213, 64, true},
          Level{"conv8_2", 256, 213, 264, 100, false},
          Level{"conv9_2", 256, 264, 315, 300, false}}) {
      const std::string feature = level.feature;
      const int channels = level.channels / kThinner, boxes = level.three ? 6 : 4;
      locations += bottom(flat_head(feature, "_mbox_loc", channels, 4 * boxes));
      scores += bottom(flat_head(feature, "_mbox_conf", channels, kClasses * boxes));
      priors += bottom(feature + "_mbox_priorbox");
      text_ += fmt::format(
          "layer {{ name: \"{0}_mbox_priorbox\" type: \"PriorBox\" bottom: \"{0}\" bottom: \"data\""
          " top: \"{0}_mbox_priorbox\" prior_box_param {{ min_size: {1} max_size: {2}"
          " aspect_ratio: 2 {3} flip: true clip: false variance: 0.1 variance: 0.1 variance: 0.2"
          " variance: 0.2 step: {4} offset: 0.5 }} }}\n",
          feature, level.min, level.max, level.three ? "aspect_ratio: 3" : "", level.step);
    }
    concat("mbox_loc", locations, 1);
    concat("mbox_conf", scores, 1);
    concat("mbox_priorbox", priors, 2);
    layer("rows", "Reshape", "mbox_conf", "reshape_param { shape { dim: [0, -1, 21] } }");
    layer("softmax", "Softmax", "rows", "softmax_param { axis: 2 }");
    layer("flat", "Flatten", "softmax", "flatten_param { axis: 1 }");
    text_ +=
        "layer { name: \"out\" type: \"DetectionOutput\" bottom: \"mbox_loc\" bottom: \"flat\""
        " bottom: \"mbox_priorbox\" top: \"out\" detection_output_param { num_classes: 21"
        " share_location: true background_label_id: 0 nms_param { nms_threshold: 0.45 top_k: 400 }"
        " code_type: CENTER_SIZE keep_top_k: 100 confidence_threshold: 0.01 } }\n";
  }

  static std::string bottom(const std::string& name) { return "bottom: \"" + name + "\" "; }

  void concat(const std::string& name, const std::string& bottoms, int axis) {
    text_ += fmt::format(
        "layer {{ name: \"{0}\" type: \"Concat\" {1} top: \"{0}\" concat_param {{ axis: {2} }} "
        "}}\n",
        name, bottoms, axis);
  }

  std::string text_;
  std::vector<CaffeLayer> layers_;
};

// vgg_ssd300.cfg with fewer channels.
std::string thin_cfg() {
  std::string text = read_text(SSDQ_SOURCE_DIR "/configs/backbones/vgg_ssd300.cfg");
  for (const int filters : {64, 128, 256, 512, 1024}) {
    text = std::regex_replace(text, std::regex(fmt::format("filters={}\n", filters)),
                              fmt::format("filters={}.\n", filters / kThinner));
  }
  return std::regex_replace(text, std::regex("\\.\n"), "\n");
}

// What OpenCV finds in the network's own input, B, G, R: clipped boxes of [0, 300].
Detections run_in_opencv(const std::string& prototxt, const std::string& model,
                         const torch::Tensor& rgb) {
  auto net = cv::dnn::readNetFromCaffe(prototxt, model);
  const auto bgr = rgb.flip({1}).contiguous();
  net.setInput(cv::Mat({1, 3, 300, 300}, CV_32F, bgr.data_ptr<float>()));
  const cv::Mat out = net.forward();
  Detections found;
  for (int i = 0; i < out.size[2]; ++i) {
    const float* row = out.ptr<float>(0, 0, i);
    const auto side = [&](int k) { return std::clamp(row[k] * 300, 0.0F, 300.0F); };
    found.push_back({{side(3), side(4), side(5), side(6)}, row[2], static_cast<int>(row[1])});
  }
  return found;
}

float largest_difference(const Box& a, const Box& b) {
  return std::max(
      {std::abs(a.x1 - b.x1), std::abs(a.y1 - b.y1), std::abs(a.x2 - b.x2), std::abs(a.y2 - b.y2)});
}

// Channel order of the input, order of boxes and values in the heads, priors and coding in one:
// OpenCV runs the Caffe network, SSDQ the imported one.
TEST(CaffeSsd, OpenCvAndSsdqFindTheSameObjects) {
  const torch::NoGradGuard no_grad;
  const TempFolder folder;
  torch::manual_seed(5);
  const CaffeSsd caffe;
  write_text(folder / "net.prototxt", caffe.prototxt());
  write_text(folder / "net.caffemodel", caffe.model());
  write_text(folder / "thin.cfg", thin_cfg());

  auto registries = builtin_registries();
  const auto loaded = load_config(SSDQ_SOURCE_DIR "/configs/vgg_ssd300_voc0712.yaml",
                                  {"MODEL.DEVICE", "cpu", "MODEL.BACKBONE.CFG", folder / "thin.cfg",
                                   "MODEL.PRIORS.CLIP", "false"});
  const auto experiment = build_experiment(loaded.config, loaded.file, registries);
  const auto file = read_caffe(folder / "net.caffemodel", folder / "net.prototxt");
  const auto imported = import_state(experiment.graph, file.tensors, {});
  EXPECT_EQ(imported.source->name, "caffe-vgg_ssd");
  check_complete(imported, "net.caffemodel");
  auto detector = build_detector(experiment);
  load_state_strict(*detector, imported.tensors, "net.caffemodel");
  detector->eval();

  const auto image = torch::randn({1, 3, 300, 300});
  const auto output = detector->forward(image);
  const auto logits = output.class_logits.contiguous();
  const auto boxes = output.box_regression.contiguous();
  const auto found =
      build_post_processor(experiment)
          .run(logits.data_ptr<float>(), boxes.data_ptr<float>(), {{300, 300}}, 1)[0];
  const auto expected = run_in_opencv(folder / "net.prototxt", folder / "net.caffemodel", image);
  ASSERT_EQ(found.size(), 100U);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(std::any_of(expected.begin(), expected.end(),
                            [&](const Detection& other) {
                              return other.label == found[i].label &&
                                     std::abs(other.score - found[i].score) < 1e-3 &&
                                     largest_difference(other.box, found[i].box) < 0.1;
                            }))
        << "object " << i << " of class " << found[i].label << ", score " << found[i].score;
  }
}

}  // namespace
}  // namespace ssdq::testing
