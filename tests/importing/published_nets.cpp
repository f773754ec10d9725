#include "published_nets.h"

#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace ssdq::testing {
namespace {

// VGG-16: channels of the convolutions in and out.
const std::vector<std::pair<int, int>> kVgg = {
    {3, 64},    {64, 64},   {64, 128},  {128, 128}, {128, 256}, {256, 256}, {256, 256},
    {256, 512}, {512, 512}, {512, 512}, {512, 512}, {512, 512}, {512, 512}};
const std::vector<int> kVggIndices = {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28};
const std::vector<int> kVggBnIndices = {0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40};
const std::vector<int> kBoxes = {4, 6, 6, 6, 4, 4};
const std::vector<int> kVggLevels = {512, 1024, 512, 256, 256, 256};

struct Extra {
  int in, out, kernel, stride, padding;
};
const std::vector<Extra> kVggExtras = {
    {1024, 256, 1, 1, 0}, {256, 512, 3, 2, 1}, {512, 128, 1, 1, 0}, {128, 256, 3, 2, 1},
    {256, 128, 1, 1, 0},  {128, 256, 3, 1, 0}, {256, 128, 1, 1, 0}, {128, 256, 3, 1, 0}};

void add_vgg(PublishedNet& net, const std::string& prefix) {
  for (size_t i = 0; i < kVgg.size(); ++i) {
    net.conv(fmt::format("{}{}", prefix, kVggIndices[i]), kVgg[i].second, kVgg[i].first, 3, true);
  }
  net.conv(prefix + "31", 1024, 512, 3, true);
  net.conv(prefix + "33", 1024, 1024, 1, true);
}

void add_heads(PublishedNet& net, const std::string& classes_prefix,
               const std::string& boxes_prefix, const std::vector<int>& channels, int64_t classes) {
  for (size_t i = 0; i < channels.size(); ++i) {
    net.conv(fmt::format("{}{}", classes_prefix, i), kBoxes[i] * classes, channels[i], 3, true);
    net.conv(fmt::format("{}{}", boxes_prefix, i), kBoxes[i] * 4, channels[i], 3, true);
  }
}

}  // namespace

torch::Tensor flat(const torch::Tensor& map, int64_t values) {
  return map.permute({0, 2, 3, 1}).reshape({map.size(0), -1, values});
}

void conv_bn(PublishedNet& net, const std::string& conv, const std::string& bn, int out, int in,
             int kernel) {
  net.conv(conv, out, in, kernel, false);
  net.batch_norm(bn, out);
}

void PublishedNet::conv(const std::string& module, int64_t out, int64_t in, int64_t kernel,
                        bool bias) {
  const double scale = std::sqrt(2.0 / static_cast<double>(in * kernel * kernel));
  tensors_[module + ".weight"] = torch::randn({out, in, kernel, kernel}) * scale;
  if (bias) {
    tensors_[module + ".bias"] = torch::randn({out}) * 0.1;
  }
}

void PublishedNet::batch_norm(const std::string& module, int64_t channels) {
  tensors_[module + ".weight"] = torch::rand({channels}) + 0.5;
  tensors_[module + ".bias"] = torch::randn({channels}) * 0.2;
  tensors_[module + ".running_mean"] = torch::randn({channels}) * 0.2;
  tensors_[module + ".running_var"] = torch::rand({channels}) + 0.5;
  tensors_[module + ".num_batches_tracked"] = torch::tensor(int64_t{7});
}

void PublishedNet::scale(const std::string& tensor, int64_t channels) {
  tensors_[tensor] = torch::rand({channels}) * 10 + 15;
}

void PublishedNet::matrix(const std::string& module, int64_t out, int64_t in) {
  tensors_[module + ".weight"] = torch::randn({out, in}) * 0.01;
  tensors_[module + ".bias"] = torch::randn({out});
}

torch::Tensor PublishedNet::run_conv(const torch::Tensor& x, const std::string& module,
                                     int64_t stride, int64_t padding, int64_t dilation) const {
  const auto& weight = at(module + ".weight");
  const auto bias = has(module + ".bias") ? at(module + ".bias") : torch::Tensor();
  return torch::conv2d(x, weight, bias, stride, padding, dilation, x.size(1) / weight.size(1));
}

torch::Tensor PublishedNet::run_batch_norm(const torch::Tensor& x, const std::string& module,
                                           double eps) const {
  return torch::batch_norm(x, at(module + ".weight"), at(module + ".bias"),
                           at(module + ".running_mean"), at(module + ".running_var"), false, 0.1,
                           eps, false);
}

PublishedNet lufficc_vgg300(int64_t classes) {
  PublishedNet net;
  add_vgg(net, "backbone.vgg.");
  net.scale("backbone.l2_norm.weight", 512);
  for (size_t i = 0; i < kVggExtras.size(); ++i) {
    net.conv(fmt::format("backbone.extras.{}", i), kVggExtras[i].out, kVggExtras[i].in,
             kVggExtras[i].kernel, true);
  }
  add_heads(net, "box_head.predictor.cls_headers.", "box_head.predictor.reg_headers.", kVggLevels,
            classes);
  return net;
}

RawOutputs run_lufficc_vgg300(const PublishedNet& net, const torch::Tensor& image,
                              int64_t classes) {
  std::vector<torch::Tensor> features;
  auto x = image;
  for (size_t i = 0; i < kVggIndices.size(); ++i) {
    x = torch::relu(net.run_conv(x, fmt::format("backbone.vgg.{}", kVggIndices[i]), 1, 1));
    if (i == 9) {
      const auto norm = (x * x).sum(1, true).sqrt() + 1e-10;
      features.push_back(net.at("backbone.l2_norm.weight").view({1, -1, 1, 1}) * x / norm);
    }
    if (i == 1 || i == 3 || i == 6 || i == 9) {
      x = torch::max_pool2d(x, 2, 2, 0, 1, i == 6);
    }
  }
  x = torch::max_pool2d(x, 3, 1, 1);
  x = torch::relu(net.run_conv(x, "backbone.vgg.31", 1, 6, 6));
  x = torch::relu(net.run_conv(x, "backbone.vgg.33", 1, 0));
  features.push_back(x);
  for (size_t i = 0; i < kVggExtras.size(); ++i) {
    x = torch::relu(net.run_conv(x, fmt::format("backbone.extras.{}", i), kVggExtras[i].stride,
                                 kVggExtras[i].padding));
    if (i % 2 == 1) {
      features.push_back(x);
    }
  }
  std::vector<torch::Tensor> class_maps, box_maps;
  for (size_t i = 0; i < features.size(); ++i) {
    const std::string head = "box_head.predictor.";
    class_maps.push_back(
        flat(net.run_conv(features[i], fmt::format("{}cls_headers.{}", head, i), 1, 1), classes));
    box_maps.push_back(
        flat(net.run_conv(features[i], fmt::format("{}reg_headers.{}", head, i), 1, 1), 4));
  }
  return {torch::cat(class_maps, 1), torch::cat(box_maps, 1)};
}

PublishedNet caffe_vgg_ssd300(const PublishedNet& lufficc) {
  const std::vector<std::string> layers = {"conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1",
                                           "conv3_2", "conv3_3", "conv4_1", "conv4_2", "conv4_3",
                                           "conv5_1", "conv5_2", "conv5_3"};
  const std::vector<std::string> features = {"conv4_3_norm", "fc7",     "conv6_2",
                                             "conv7_2",      "conv8_2", "conv9_2"};
  PublishedNet net;
  const auto rename = [&](const std::string& from, const std::string& to) {
    for (const char* tensor : {".weight", ".bias"}) {
      net.set(to + tensor, lufficc.at(from + tensor));
    }
  };
  for (size_t i = 0; i < layers.size(); ++i) {
    rename(fmt::format("backbone.vgg.{}", kVggIndices[i]), layers[i]);
  }
  rename("backbone.vgg.31", "fc6");
  rename("backbone.vgg.33", "fc7");
  for (size_t i = 0; i < kVggExtras.size(); ++i) {
    rename(fmt::format("backbone.extras.{}", i), fmt::format("conv{}_{}", 6 + i / 2, 1 + i % 2));
  }
  for (size_t i = 0; i < features.size(); ++i) {
    rename(fmt::format("box_head.predictor.cls_headers.{}", i), features[i] + "_mbox_conf");
    rename(fmt::format("box_head.predictor.reg_headers.{}", i), features[i] + "_mbox_loc");
  }
  net.set("conv4_3_norm.weight", lufficc.at("backbone.l2_norm.weight"));
  net.set("conv1_1.weight", net.at("conv1_1.weight").flip({1}));
  return net;
}

PublishedNet pytorch_ssd_vgg(int64_t classes) {
  PublishedNet net;
  add_vgg(net, "base_net.");
  net.scale("source_layer_add_ons.0.scale", 512);
  for (size_t i = 0; i < kVggExtras.size(); ++i) {
    net.conv(fmt::format("extras.{}.{}", i / 2, i % 2 * 2), kVggExtras[i].out, kVggExtras[i].in,
             kVggExtras[i].kernel, true);
  }
  add_heads(net, "classification_headers.", "regression_headers.", kVggLevels, classes);
  return net;
}

// Sections of vgg_bn_ssd300.cfg: a pool behind the 2nd, 4th, 7th, 10th and 13th convolution.
PublishedNet pruning_fork_vgg_bn(int64_t classes) {
  PublishedNet net;
  int section = 0;
  const auto layer = [&](int out, int in, int kernel) {
    const auto stem = fmt::format("backbone.module_list.{}.", section++);
    net.conv(stem + "Conv2d", out, in, kernel, true);
    net.batch_norm(stem + "BatchNorm2d", out);
  };
  for (size_t i = 0; i < kVgg.size(); ++i) {
    layer(kVgg[i].second, kVgg[i].first, 3);
    section += i == 1 || i == 3 || i == 6 || i == 9 || i == 12 ? 1 : 0;
  }
  layer(1024, 512, 3);
  layer(1024, 1024, 1);
  for (const auto& extra : kVggExtras) {
    layer(extra.out, extra.in, extra.kernel);
  }
  net.scale("backbone.l2_norm.weight", 512);
  add_heads(net, "box_head.predictor.cls_headers.", "box_head.predictor.reg_headers.", kVggLevels,
            classes);
  return net;
}

PublishedNet torchvision_resnet(const std::vector<int>& blocks, bool bottleneck) {
  PublishedNet net;
  conv_bn(net, "conv1", "bn1", 64, 3, 7);
  int in = 64;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    const int width = 64 << stage;
    const int out = bottleneck ? 4 * width : width;
    for (int block = 0; block < blocks[stage]; ++block) {
      const auto stem = fmt::format("layer{}.{}.", stage + 1, block);
      conv_bn(net, stem + "conv1", stem + "bn1", width, in, bottleneck ? 1 : 3);
      conv_bn(net, stem + "conv2", stem + "bn2", width, width, 3);
      if (bottleneck) {
        conv_bn(net, stem + "conv3", stem + "bn3", out, width, 1);
      }
      if (in != out) {
        conv_bn(net, stem + "downsample.0", stem + "downsample.1", out, in, 1);
      }
      in = out;
    }
  }
  net.matrix("fc", 1000, in);
  return net;
}

PublishedNet nvidia_ssd_resnet50(int64_t classes) {
  const std::map<std::string, std::string> stages = {
      {"conv1", "0"}, {"bn1", "1"}, {"layer1", "4"}, {"layer2", "5"}, {"layer3", "6"}};
  PublishedNet net;
  for (const auto& [name, tensor] : torchvision_resnet({3, 4, 6}, true).state()) {
    const size_t dot = name.find('.');
    const auto stage = stages.find(name.substr(0, dot));
    if (stage != stages.end()) {
      net.set("feature_extractor.feature_extractor." + stage->second + name.substr(dot), tensor);
    }
  }
  const std::vector<int> levels = {1024, 512, 512, 256, 256, 256};
  const std::vector<int> hidden = {256, 256, 128, 128, 128};
  for (size_t i = 0; i < hidden.size(); ++i) {
    const auto stem = fmt::format("additional_blocks.{}.", i);
    conv_bn(net, stem + "0", stem + "1", hidden[i], levels[i], 1);
    conv_bn(net, stem + "3", stem + "4", levels[i + 1], hidden[i], 3);
  }
  add_heads(net, "conf.", "loc.", levels, classes);
  return net;
}

PublishedNet vgg16_reducedfc() {
  PublishedNet net;
  add_vgg(net, "");
  return net;
}

PublishedNet torchvision_vgg16(bool batch_norm) {
  PublishedNet net;
  for (size_t i = 0; i < kVgg.size(); ++i) {
    const int index = batch_norm ? kVggBnIndices[i] : kVggIndices[i];
    net.conv(fmt::format("features.{}", index), kVgg[i].second, kVgg[i].first, 3, true);
    if (batch_norm) {
      net.batch_norm(fmt::format("features.{}", index + 1), kVgg[i].second);
    }
  }
  net.matrix("classifier.0", 4096, 512 * 7 * 7);
  net.matrix("classifier.3", 4096, 4096);
  net.matrix("classifier.6", 10, 4096);
  return net;
}

PublishedNet torchvision_ssd300(int64_t classes) {
  PublishedNet net;
  for (size_t i = 0; i < kVgg.size(); ++i) {
    const auto module = i < 10 ? fmt::format("backbone.features.{}", kVggIndices[i])
                               : fmt::format("backbone.extra.0.{}", 2 * i - 19);
    net.conv(module, kVgg[i].second, kVgg[i].first, 3, true);
  }
  net.conv("backbone.extra.0.7.1", 1024, 512, 3, true);
  net.conv("backbone.extra.0.7.3", 1024, 1024, 1, true);
  net.scale("backbone.scale_weight", 512);
  for (size_t i = 0; i < kVggExtras.size(); ++i) {
    net.conv(fmt::format("backbone.extra.{}.{}", 1 + i / 2, i % 2 * 2), kVggExtras[i].out,
             kVggExtras[i].in, kVggExtras[i].kernel, true);
  }
  add_heads(net, "head.classification_head.module_list.", "head.regression_head.module_list.",
            kVggLevels, classes);
  return net;
}

}  // namespace ssdq::testing
