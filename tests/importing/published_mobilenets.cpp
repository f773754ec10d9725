#include <array>
#include <utility>

#include <fmt/format.h>

#include "published_nets.h"

namespace ssdq::testing {
namespace {

// Expansion, channels, blocks, stride of MobileNetV2.
const std::vector<std::array<int, 4>> kV2 = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2},
                                             {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2},
                                             {6, 320, 1, 1}};

struct V2Block {
  int in, hidden, out, stride;
};

std::vector<V2Block> v2_blocks() {
  std::vector<V2Block> blocks;
  int in = 32;
  for (const auto& [expansion, out, count, stride] : kV2) {
    for (int i = 0; i < count; ++i) {
      blocks.push_back({in, in * expansion, out, i == 0 ? stride : 1});
      in = out;
    }
  }
  return blocks;
}

const std::vector<V2Block> kV2Extras = {
    {1280, 256, 512, 2}, {512, 128, 256, 2}, {256, 128, 256, 2}, {256, 64, 64, 2}};

void add_flat_block(PublishedNet& net, const std::string& stem, const V2Block& block) {
  int next = 0;
  const auto layer = [&](int out, int in, int kernel) {
    conv_bn(net, fmt::format("{}{}", stem, next), fmt::format("{}{}", stem, next + 1), out, in,
            kernel);
    next += 3;
  };
  if (block.in != block.hidden) {
    layer(block.hidden, block.in, 1);
  }
  layer(block.hidden, 1, 3);
  layer(block.out, block.hidden, 1);
}

void add_nested_block(PublishedNet& net, const std::string& stem, const V2Block& block) {
  int next = 0;
  if (block.in != block.hidden) {
    conv_bn(net, stem + "0.0", stem + "0.1", block.hidden, block.in, 1);
    ++next;
  }
  conv_bn(net, fmt::format("{}{}.0", stem, next), fmt::format("{}{}.1", stem, next), block.hidden,
          1, 3);
  conv_bn(net, fmt::format("{}{}", stem, next + 1), fmt::format("{}{}", stem, next + 2), block.out,
          block.hidden, 1);
}

torch::Tensor run_flat_block(const PublishedNet& net, const std::string& stem, torch::Tensor x,
                             const V2Block& block, torch::Tensor* expanded = nullptr) {
  const auto input = x;
  int next = 0;
  const auto layer = [&](int64_t stride, int64_t padding) {
    x = net.run_batch_norm(net.run_conv(x, fmt::format("{}{}", stem, next), stride, padding),
                           fmt::format("{}{}", stem, next + 1));
    next += 3;
  };
  if (block.in != block.hidden) {
    layer(1, 0);
    x = torch::clamp(x, 0, 6);
    if (expanded != nullptr) {
      *expanded = x;
    }
  }
  layer(block.stride, 1);
  x = torch::clamp(x, 0, 6);
  layer(1, 0);
  return block.stride == 1 && block.in == block.out ? x + input : x;
}

const std::vector<int> kLiteLevels = {576, 1280, 512, 256, 256, 64};

}  // namespace

PublishedNet pytorch_ssd_mb2_lite(int64_t classes) {
  PublishedNet net;
  conv_bn(net, "base_net.0.0", "base_net.0.1", 32, 3, 3);
  const auto blocks = v2_blocks();
  for (size_t i = 0; i < blocks.size(); ++i) {
    add_flat_block(net, fmt::format("base_net.{}.conv.", i + 1), blocks[i]);
  }
  conv_bn(net, "base_net.18.0", "base_net.18.1", 1280, 320, 1);
  for (size_t i = 0; i < kV2Extras.size(); ++i) {
    add_flat_block(net, fmt::format("extras.{}.conv.", i), kV2Extras[i]);
  }
  for (const auto& [head, values] :
       {std::pair<std::string, int64_t>{"classification_headers", classes},
        std::pair<std::string, int64_t>{"regression_headers", 4}}) {
    for (size_t i = 0; i < 5; ++i) {
      const auto stem = fmt::format("{}.{}.", head, i);
      net.conv(stem + "0", kLiteLevels[i], 1, 3, true);
      net.batch_norm(stem + "1", kLiteLevels[i]);
      net.conv(stem + "3", 6 * values, kLiteLevels[i], 1, true);
    }
    net.conv(head + ".5", 6 * values, 64, 1, true);
  }
  return net;
}

RawOutputs run_pytorch_ssd_mb2_lite(const PublishedNet& net, const torch::Tensor& image,
                                    int64_t classes) {
  std::vector<torch::Tensor> features(1);
  auto x = torch::clamp(
      net.run_batch_norm(net.run_conv(image, "base_net.0.0", 2, 1), "base_net.0.1"), 0, 6);
  const auto blocks = v2_blocks();
  for (size_t i = 0; i < blocks.size(); ++i) {
    x = run_flat_block(net, fmt::format("base_net.{}.conv.", i + 1), x, blocks[i],
                       i + 1 == 14 ? &features[0] : nullptr);
  }
  x = torch::clamp(net.run_batch_norm(net.run_conv(x, "base_net.18.0", 1, 0), "base_net.18.1"), 0,
                   6);
  features.push_back(x);
  for (size_t i = 0; i < kV2Extras.size(); ++i) {
    x = run_flat_block(net, fmt::format("extras.{}.conv.", i), x, kV2Extras[i]);
    features.push_back(x);
  }
  const auto predict = [&](const std::string& head, int64_t values) {
    std::vector<torch::Tensor> maps;
    for (size_t i = 0; i < 5; ++i) {
      const auto stem = fmt::format("{}.{}.", head, i);
      const auto hidden = torch::clamp(
          net.run_batch_norm(net.run_conv(features[i], stem + "0", 1, 1), stem + "1"), 0, 6);
      maps.push_back(flat(net.run_conv(hidden, stem + "3", 1, 0), values));
    }
    maps.push_back(flat(net.run_conv(features[5], head + ".5", 1, 0), values));
    return torch::cat(maps, 1);
  };
  return {predict("classification_headers", classes), predict("regression_headers", 4)};
}

PublishedNet pytorch_ssd_mb1(int64_t classes, bool lite) {
  const std::vector<int> channels = {32,  64,  128, 128, 256, 256,  512,
                                     512, 512, 512, 512, 512, 1024, 1024};
  const std::vector<int> levels = {512, 1024, 512, 256, 256, 256};
  const std::vector<std::array<int, 3>> extras = {
      {1024, 256, 512}, {512, 128, 256}, {256, 128, 256}, {256, 128, 256}};
  PublishedNet net;
  conv_bn(net, "base_net.0.0", "base_net.0.1", 32, 3, 3);
  for (size_t i = 1; i < channels.size(); ++i) {
    const auto stem = fmt::format("base_net.{}.", i);
    conv_bn(net, stem + "0", stem + "1", channels[i - 1], 1, 3);
    conv_bn(net, stem + "3", stem + "4", channels[i], channels[i - 1], 1);
  }
  for (size_t i = 0; i < extras.size(); ++i) {
    const auto [in, hidden, out] = extras[i];
    const auto stem = fmt::format("extras.{}.", i);
    net.conv(stem + "0", hidden, in, 1, true);
    if (lite) {
      net.conv(stem + "2.0", hidden, 1, 3, true);
      net.conv(stem + "2.2", out, hidden, 1, true);
    } else {
      net.conv(stem + "2", out, hidden, 3, true);
    }
  }
  for (const auto& [head, values] :
       {std::pair<std::string, int64_t>{"classification_headers", classes},
        std::pair<std::string, int64_t>{"regression_headers", 4}}) {
    for (size_t i = 0; i < levels.size(); ++i) {
      const auto stem = fmt::format("{}.{}", head, i);
      if (lite && i < 5) {
        net.conv(stem + ".0", levels[i], 1, 3, true);
        net.conv(stem + ".2", 6 * values, levels[i], 1, true);
      } else {
        net.conv(stem, 6 * values, levels[i], lite ? 1 : 3, true);
      }
    }
  }
  return net;
}

PublishedNet lufficc_mobilenet_v2(int64_t classes) {
  PublishedNet net;
  conv_bn(net, "backbone.features.0.0", "backbone.features.0.1", 32, 3, 3);
  const auto blocks = v2_blocks();
  for (size_t i = 0; i < blocks.size(); ++i) {
    add_nested_block(net, fmt::format("backbone.features.{}.conv.", i + 1), blocks[i]);
  }
  conv_bn(net, "backbone.features.18.0", "backbone.features.18.1", 1280, 320, 1);
  for (size_t i = 0; i < kV2Extras.size(); ++i) {
    add_nested_block(net, fmt::format("backbone.extras.{}.conv.", i), kV2Extras[i]);
  }
  const std::vector<int> levels = {96, 1280, 512, 256, 256, 64};
  for (const auto& [head, values] : {std::pair<std::string, int64_t>{"cls_headers", classes},
                                     std::pair<std::string, int64_t>{"reg_headers", 4}}) {
    for (size_t i = 0; i < 5; ++i) {
      const auto stem = fmt::format("box_head.predictor.{}.{}.conv.", head, i);
      net.conv(stem + "0", levels[i], 1, 3, true);
      net.batch_norm(stem + "1", levels[i]);
      net.conv(stem + "3", 6 * values, levels[i], 1, true);
    }
    net.conv(fmt::format("box_head.predictor.{}.5", head), 6 * values, 64, 1, true);
  }
  return net;
}

}  // namespace ssdq::testing
