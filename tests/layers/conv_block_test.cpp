#include "ssdq/layers/conv_block.h"

#include <set>
#include <string>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/layers/autocast.h"
#include "ssdq/quantization/dorefa_quantizer.h"

namespace ssdq {
namespace {

Conv strided_conv(bool batch_norm) {
  Conv conv;
  conv.out_channels = 6;
  conv.groups = 2;
  conv.kernel = {3, 5};
  conv.stride = {2, 1};
  conv.padding = {1, 2};
  conv.dilation = {1, 2};
  conv.activation = Activation::kLeaky;
  conv.leaky_slope = 0.2;
  if (batch_norm) {
    conv.batch_norm = BatchNorm{1e-3, 0.1};
  }
  return conv;
}

ConvBlockOptions quantized(const Conv& conv, int bits) {
  const auto method = make_dorefa({});
  ConvBlockOptions options{4, conv, nullptr, nullptr};
  options.weight_quantizer = method->weight_quantizer({bits, true, conv.out_channels, "conv"});
  options.input_quantizer = method->activation_quantizer({bits, false, 4, "conv"});
  return options;
}

// A batch norm that does something, as after training.
void disturb_batch_norm(ConvBlock& block) {
  const torch::NoGradGuard no_grad;
  block->bn->weight.uniform_(-1, 2);
  block->bn->bias.normal_();
  block->bn->running_mean.normal_();
  block->bn->running_var.uniform_(0.2, 3);
}

std::set<std::string> names(const ConvBlock& block) {
  std::set<std::string> result;
  for (const auto& item : block->named_parameters()) {
    result.insert(item.key());
  }
  return result;
}

TEST(ConvBlock, EqualsLibTorchConvolutionBatchNormAndActivation) {
  torch::manual_seed(1);
  ConvBlock block(ConvBlockOptions{4, strided_conv(true), nullptr, nullptr});
  disturb_batch_norm(block);
  block->eval();
  const torch::Tensor x = torch::randn({2, 4, 9, 13});
  torch::nn::Conv2d conv(torch::nn::Conv2dOptions(4, 6, {3, 5})
                             .stride({2, 1})
                             .padding({1, 2})
                             .dilation({1, 2})
                             .groups(2)
                             .bias(false));
  conv->weight = block->weight;
  torch::Tensor expected =
      torch::batch_norm(conv(x), block->bn->weight, block->bn->bias, block->bn->running_mean,
                        block->bn->running_var, false, 0.1, 1e-3, false);
  expected = torch::leaky_relu(expected, 0.2);
  EXPECT_TRUE(torch::allclose(block(x), expected, 1e-5, 1e-6));
  EXPECT_EQ(names(block), (std::set<std::string>{"weight", "bn.weight", "bn.bias"}));
}

TEST(ConvBlock, HasABiasOnlyWithoutBatchNorm) {
  ConvBlock block(ConvBlockOptions{4, strided_conv(false), nullptr, nullptr});
  EXPECT_EQ(names(block), (std::set<std::string>{"weight", "bias"}));
}

TEST(ConvBlock, QuantizesInputAndWeightBeforeTheConvolution) {
  torch::manual_seed(2);
  ConvBlock block(quantized(strided_conv(false), 4));
  const torch::Tensor x = torch::rand({1, 4, 7, 11}) * 10;
  const auto method = make_dorefa({});
  const torch::Tensor xq = method->activation_quantizer({4, false, 4, ""})->forward(x);
  const torch::Tensor wq = method->weight_quantizer({4, true, 6, ""})->forward(block->weight);
  const torch::Tensor y = torch::conv2d(xq, wq, block->bias, {2, 1}, {1, 2}, {1, 2}, 2);
  EXPECT_TRUE(torch::allclose(block(x), torch::leaky_relu(y, 0.2), 1e-5, 1e-6));
}

TEST(ConvBlock, FoldingBatchNormKeepsTheOutputOfFloatAndQuantizedBlocks) {
  for (const int bits : {32, 8, 4}) {
    torch::manual_seed(3);
    ConvBlock block(quantized(strided_conv(true), bits));
    disturb_batch_norm(block);
    block->eval();
    const torch::Tensor x = torch::rand({2, 4, 9, 13}) * 12;
    const torch::Tensor before = block(x).detach();
    block->fold_batch_norm();
    EXPECT_TRUE(torch::allclose(block(x), before, 1e-4, 1e-5)) << bits;
    EXPECT_EQ(names(block), (std::set<std::string>{"weight", "bias"}));
    EXPECT_EQ(block->named_buffers().size(), 0U);
    block->fold_batch_norm();
    EXPECT_TRUE(torch::allclose(block(x), before, 1e-4, 1e-5)) << "folded twice";
  }
}

TEST(ConvBlock, TrainsInBf16AutocastWithFloatGradients) {
  torch::manual_seed(4);
  Conv conv = strided_conv(true);
  conv.activation = Activation::kRelu6;
  ConvBlock block(quantized(conv, 8));
  const torch::Tensor x = torch::rand({2, 4, 9, 13}) * 12;
  torch::Tensor y;
  {
    const Bf16Autocast autocast(torch::kCPU, true);
    y = block(x);
  }
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  y.to(torch::kFloat).square().sum().backward();
  EXPECT_EQ(block->weight.grad().scalar_type(), torch::kFloat);
  EXPECT_TRUE(torch::isfinite(block->weight.grad()).all().item<bool>());
  EXPECT_EQ(block(x).scalar_type(), torch::kFloat) << "autocast outlived its scope";
}

}  // namespace
}  // namespace ssdq
