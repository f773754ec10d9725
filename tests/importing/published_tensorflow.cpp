#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "published_nets.h"

namespace ssdq::testing {
namespace {

// Channels in, expanded, out, and stride of the blocks "conv_1" .. "conv_16".
const std::vector<std::array<int, 4>> kBlocks = {
    {16, 96, 24, 2},   {24, 144, 24, 1},   {24, 144, 32, 2},   {32, 192, 32, 1},
    {32, 192, 32, 1},  {32, 192, 64, 2},   {64, 384, 64, 1},   {64, 384, 64, 1},
    {64, 384, 64, 1},  {64, 384, 96, 1},   {96, 576, 96, 1},   {96, 576, 96, 1},
    {96, 576, 160, 2}, {160, 960, 160, 1}, {160, 960, 160, 1}, {160, 960, 320, 1}};
// Channels in, between and out of "layer_19_<1|2>_2" .. "_5".
const std::vector<std::array<int, 3>> kExtras = {
    {1280, 256, 512}, {512, 128, 256}, {256, 128, 256}, {256, 64, 128}};

struct Feature {
  std::string layer;
  int channels, boxes;
};
const std::vector<Feature> kFeatures = {{"conv_13/expand", 576, 3}, {"Conv_1", 1280, 6},
                                        {"layer_19_2_2", 512, 6},   {"layer_19_2_3", 256, 6},
                                        {"layer_19_2_4", 256, 6},   {"layer_19_2_5", 128, 6}};

// TensorFlow's SAME: ceil(size / stride) outputs, the odd zero behind the map.
torch::Tensor same_conv(const PublishedNet& net, const torch::Tensor& x, const std::string& layer,
                        int64_t stride = 1) {
  const int64_t kernel = net.at(layer + ".weight").size(2);
  const auto total = [&](int64_t size) {
    const int64_t outputs = (size + stride - 1) / stride;
    return std::max<int64_t>((outputs - 1) * stride + kernel - size, 0);
  };
  const int64_t rows = total(x.size(2)), columns = total(x.size(3));
  const auto padded =
      torch::constant_pad_nd(x, {columns / 2, columns - columns / 2, rows / 2, rows - rows / 2}, 0);
  return net.run_conv(padded, layer, stride, 0);
}

torch::Tensor clipped(const torch::Tensor& x) { return torch::clamp(x, 0, 6); }

}  // namespace

PublishedNet ncnn_mobilenet_v2_ssdlite(int64_t classes) {
  PublishedNet net;
  net.conv("Conv", 32, 3, 3, true);
  net.conv("conv/depthwise", 32, 1, 3, true);
  net.conv("conv/project", 16, 32, 1, true);
  for (size_t i = 0; i < kBlocks.size(); ++i) {
    const auto [in, hidden, out, stride] = kBlocks[i];
    const auto stem = fmt::format("conv_{}/", i + 1);
    net.conv(stem + "expand", hidden, in, 1, true);
    net.conv(stem + "depthwise", hidden, 1, 3, true);
    net.conv(stem + "project", out, hidden, 1, true);
  }
  net.conv("Conv_1", 1280, 320, 1, true);
  for (size_t i = 0; i < kExtras.size(); ++i) {
    const auto [in, between, out] = kExtras[i];
    net.conv(fmt::format("layer_19_1_{}", i + 2), between, in, 1, true);
    net.conv(fmt::format("layer_19_2_{}/depthwise", i + 2), between, 1, 3, true);
    net.conv(fmt::format("layer_19_2_{}", i + 2), out, between, 1, true);
  }
  for (const auto& [layer, channels, boxes] : kFeatures) {
    for (const auto& [kind, values] :
         {std::pair<std::string, int64_t>{"_mbox_loc", 4}, {"_mbox_conf", classes}}) {
      net.conv(layer + kind + "/depthwise", channels, 1, 3, true);
      net.conv(layer + kind, boxes * values, channels, 1, true);
    }
  }
  return net;
}

RawOutputs run_ncnn_mobilenet_v2_ssdlite(const PublishedNet& net, const torch::Tensor& image,
                                         int64_t classes) {
  std::vector<torch::Tensor> features;
  auto x = clipped(same_conv(net, image, "Conv", 2));
  x = same_conv(net, clipped(same_conv(net, x, "conv/depthwise")), "conv/project");
  for (size_t i = 0; i < kBlocks.size(); ++i) {
    const auto stem = fmt::format("conv_{}/", i + 1);
    const auto expanded = clipped(same_conv(net, x, stem + "expand"));
    const auto filtered = clipped(same_conv(net, expanded, stem + "depthwise", kBlocks[i][3]));
    const auto y = same_conv(net, filtered, stem + "project");
    x = x.sizes() == y.sizes() ? x + y : y;
    if (i + 1 == 13) {
      features.push_back(expanded);
    }
  }
  features.push_back(clipped(same_conv(net, x, "Conv_1")));
  for (size_t i = 0; i < kExtras.size(); ++i) {
    x = clipped(same_conv(net, features.back(), fmt::format("layer_19_1_{}", i + 2)));
    x = clipped(same_conv(net, x, fmt::format("layer_19_2_{}/depthwise", i + 2), 2));
    features.push_back(clipped(same_conv(net, x, fmt::format("layer_19_2_{}", i + 2))));
  }
  std::vector<torch::Tensor> all_classes, all_boxes;
  for (size_t i = 0; i < features.size(); ++i) {
    const auto head = [&](const std::string& kind) {
      const auto layer = kFeatures[i].layer + kind;
      return same_conv(net, clipped(same_conv(net, features[i], layer + "/depthwise")), layer);
    };
    all_classes.push_back(flat(head("_mbox_conf"), classes));
    all_boxes.push_back(flat(head("_mbox_loc"), 4));
  }
  return {torch::cat(all_classes, 1), torch::cat(all_boxes, 1)};
}

}  // namespace ssdq::testing
