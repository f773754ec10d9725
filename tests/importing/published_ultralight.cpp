#include <array>

#include <fmt/format.h>

#include "published_nets.h"

namespace ssdq::testing {
namespace {

// Runs the layers of a network by name and makes those that it has not yet.
class Layers {
 public:
  explicit Layers(PublishedNet& net) : net_(net) {}

  torch::Tensor conv(const torch::Tensor& x, const std::string& module, int64_t out, int64_t kernel,
                     int64_t stride = 1) {
    make(module, out, x.size(1), kernel, true);
    return net_.run_conv(x, module, stride, kernel / 2);
  }

  torch::Tensor conv_bn(const torch::Tensor& x, const std::string& conv, const std::string& bn,
                        int64_t out, int64_t kernel, int64_t dilation = 1) {
    make(conv, out, x.size(1), kernel, false);
    if (!net_.has(bn + ".weight")) {
      net_.batch_norm(bn, out);
    }
    return net_.run_batch_norm(net_.run_conv(x, conv, 1, kernel / 2 * dilation, dilation), bn);
  }

  // Depthwise and pointwise, as modules 0 and 2 of a Sequential.
  torch::Tensor separable(const torch::Tensor& x, const std::string& stem, int64_t out,
                          int64_t stride = 1) {
    make(stem + "0", x.size(1), 1, 3, true);
    return conv(torch::relu(net_.run_conv(x, stem + "0", stride, 1)), stem + "2", out, 1);
  }

  // The same with batch norms, as modules 0, 1 and 3, 4.
  torch::Tensor mobile(const torch::Tensor& x, const std::string& stem, int64_t out,
                       int64_t stride) {
    make(stem + "0", x.size(1), 1, 3, false);
    if (!net_.has(stem + "1.weight")) {
      net_.batch_norm(stem + "1", x.size(1));
    }
    const auto spatial = net_.run_batch_norm(net_.run_conv(x, stem + "0", stride, 1), stem + "1");
    return torch::relu(conv_bn(torch::relu(spatial), stem + "3", stem + "4", out, 1));
  }

  torch::Tensor basic(const torch::Tensor& x, const std::string& stem, int64_t out, int64_t kernel,
                      int64_t dilation = 1) {
    return conv_bn(x, stem + ".conv", stem + ".bn", out, kernel, dilation);
  }

 private:
  void make(const std::string& module, int64_t out, int64_t in, int64_t kernel, bool bias) {
    if (!net_.has(module + ".weight")) {
      net_.conv(module, out, in, kernel, bias);
    }
  }

  PublishedNet& net_;
};

torch::Tensor receptive_fields(Layers& layers, const torch::Tensor& x, const std::string& stem) {
  std::vector<torch::Tensor> branches;
  const std::array<int64_t, 3> dilations = {2, 3, 5};
  for (size_t b = 0; b < dilations.size(); ++b) {
    const auto branch = fmt::format("{}.branch{}.", stem, b);
    auto y = layers.basic(x, branch + "0", 8, 1);
    y = torch::relu(layers.basic(y, branch + "1", b == 2 ? 12 : 16, 3));
    if (b == 2) {
      y = torch::relu(layers.basic(y, branch + "2", 16, 3));
    }
    branches.push_back(layers.basic(y, branch + (b == 2 ? "3" : "2"), 16, 3, dilations[b]));
  }
  const auto joined = layers.basic(torch::cat(branches, 1), stem + ".ConvLinear", 64, 1);
  return torch::relu(joined + layers.basic(x, stem + ".shortcut", 64, 1));
}

}  // namespace

RawOutputs run_ultralight_rfb(PublishedNet& net, const torch::Tensor& image) {
  const std::vector<std::pair<int, int>> blocks = {// channels, stride; 0: receptive fields
                                                   {32, 1},  {32, 2},  {32, 1},  {64, 2},
                                                   {64, 1},  {64, 1},  {0, 1},   {128, 2},
                                                   {128, 1}, {128, 1}, {256, 2}, {256, 1}};
  Layers layers(net);
  if (!net.has("base_net.0.0.weight")) {
    conv_bn(net, "base_net.0.0", "base_net.0.1", 16, 3, 3);
  }
  auto x =
      torch::relu(net.run_batch_norm(net.run_conv(image, "base_net.0.0", 2, 1), "base_net.0.1"));
  std::vector<torch::Tensor> features;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto stem = fmt::format("base_net.{}", i + 1);
    const auto [channels, stride] = blocks[i];
    x = channels == 0 ? receptive_fields(layers, x, stem)
                      : layers.mobile(x, stem + ".", channels, stride);
    if (i == 6 || i == 9 || i == 11) {
      features.push_back(x);
    }
  }
  x = torch::relu(layers.conv(x, "extras.0.0", 64, 1));
  features.push_back(torch::relu(layers.separable(x, "extras.0.2.", 256, 2)));
  const std::array<int, 4> boxes = {3, 2, 2, 3};
  const auto predict = [&](const std::string& head, int64_t values) {
    std::vector<torch::Tensor> maps;
    for (size_t i = 0; i < features.size(); ++i) {
      const auto stem = fmt::format("{}.{}", head, i);
      const auto map = i == 3 ? layers.conv(features[i], stem, boxes[i] * values, 3)
                              : layers.separable(features[i], stem + ".", boxes[i] * values);
      maps.push_back(flat(map, values));
    }
    return torch::cat(maps, 1);
  };
  return {predict("classification_headers", 2), predict("regression_headers", 4)};
}

}  // namespace ssdq::testing
