#include "ssdq/layers/conv_block.h"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/layers/autocast.h"
#include "ssdq/quantization/build.h"
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

// Each output as a sum over the taps inside the map; the first window starts (pads / 2) in front of
// it, of the pads that TensorFlow's documentation gives.
torch::Tensor naive_same_convolution(const torch::Tensor& x, const torch::Tensor& weight,
                                     const Conv& conv) {
  const int64_t in_group = weight.size(1), out_group = weight.size(0) / conv.groups;
  const auto start_of = [](int64_t size, int kernel, int stride, int dilation) {
    const int64_t reach = (kernel - 1) * dilation + 1;
    const int64_t pads = size % stride == 0 ? reach - stride : reach - size % stride;
    return -(std::max<int64_t>(pads, 0) / 2);
  };
  const int64_t top = start_of(x.size(2), conv.kernel.height, conv.stride.height, 1);
  const int64_t left =
      start_of(x.size(3), conv.kernel.width, conv.stride.width, conv.dilation.width);
  const int64_t rows = (x.size(2) + conv.stride.height - 1) / conv.stride.height;
  const int64_t columns = (x.size(3) + conv.stride.width - 1) / conv.stride.width;
  torch::Tensor y = torch::zeros({1, weight.size(0), rows, columns});
  const auto in = x.accessor<float, 4>(), w = weight.accessor<float, 4>();
  auto out = y.accessor<float, 4>();
  for (int64_t o = 0; o < weight.size(0); ++o) {
    for (int64_t r = 0; r < rows * columns; ++r) {
      for (int64_t k = 0; k < in_group * w.size(2) * w.size(3); ++k) {
        const int64_t i = k / (w.size(2) * w.size(3)), h = k / w.size(3) % w.size(2);
        const int64_t row = r / columns * conv.stride.height + top + h;
        const int64_t column =
            r % columns * conv.stride.width + left + k % w.size(3) * conv.dilation.width;
        if (row >= 0 && row < x.size(2) && column >= 0 && column < x.size(3)) {
          out[0][o][r / columns][r % columns] +=
              in[0][o / out_group * in_group + i][row][column] * w[o][i][h][k % w.size(3)];
        }
      }
    }
  }
  return y;
}

TEST(ConvBlock, SamePaddingEqualsANaiveConvolution) {
  torch::manual_seed(4);
  const torch::NoGradGuard no_grad;
  for (const int kernel : {1, 3, 5}) {
    for (const int stride : {1, 2}) {
      for (const int groups : {1, 2, 4}) {
        for (const Size2 size : {Size2{8, 9}, Size2{7, 5}, Size2{2, 1}}) {
          Conv conv;
          conv.out_channels = 4;
          conv.groups = groups;
          conv.kernel = {kernel, 3};
          conv.stride = {stride, 3 - stride};
          conv.dilation = {1, 2};
          conv.same_padding = true;
          conv.bias = false;
          ConvBlock block(ConvBlockOptions{4, conv, nullptr, nullptr});
          for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
            const torch::Tensor x = torch::randn({1, 4, size.height, size.width});
            const torch::Tensor expected = naive_same_convolution(x, block->weight, conv);
            const torch::Tensor y = block(x.contiguous(format));
            ASSERT_EQ(y.sizes(), expected.sizes());
            EXPECT_TRUE(torch::allclose(y, expected, 1e-4, 1e-5))
                << kernel << " " << stride << " " << groups << " " << size.height;
          }
        }
      }
    }
  }
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

// The methods that come with SSDQ, 8 bits (bwn: two levels).
std::shared_ptr<QuantizationMethod> method_of(const std::string& type, const Options& given = {}) {
  QuantizerRegistry registry;
  register_quantizers(registry);
  QuantizationConfig config;
  config.type = type;
  config.options = given;
  return registry.create(config.type, config);
}

ConvBlockOptions quantized_by(const QuantizationMethod& method, const Conv& conv, int bits) {
  ConvBlockOptions options{4, conv, nullptr, nullptr};
  options.weight_quantizer = method.weight_quantizer({bits, true, conv.out_channels, "conv"});
  options.input_quantizer = method.activation_quantizer({bits, false, 4, "conv"});
  options.folding = method.batch_norm_folding();
  return options;
}

TEST(ConvBlock, FoldingBatchNormKeepsTheOutputOfEveryMethod) {
  for (const std::string type :
       {"bwn", "dorefa", "iao", "lqnet", "lsq", "lsq_plus", "pact", "tqt", "uniform"}) {
    torch::manual_seed(5);
    const auto method = method_of(type);
    ConvBlock block(quantized_by(*method, strided_conv(true), type == "bwn" ? 2 : 8));
    disturb_batch_norm(block);
    const torch::Tensor x = torch::rand({2, 4, 9, 13}) * 3;
    block(x);
    block->eval();
    const torch::Tensor before = block(x).detach();
    EXPECT_TRUE(torch::equal(block(x), before)) << type << ": evaluation moved a range";
    block->fold_batch_norm();
    EXPECT_TRUE(torch::allclose(block(x), before, 1e-4, 1e-4)) << type;
  }
}

TEST(ConvBlock, TwoPassFoldingEqualsThePapersFormula) {
  torch::manual_seed(6);
  const auto method = method_of("iao", {{"FOLD", "two_pass"}});
  const Conv conv = strided_conv(true);
  ConvBlock block(quantized_by(*method, conv, 4));
  disturb_batch_norm(block);
  const torch::Tensor x = torch::rand({3, 4, 9, 13});
  const torch::Tensor mean_before = block->bn->running_mean.clone();
  const torch::Tensor var_before = block->bn->running_var.clone();

  const torch::Tensor y1 = torch::conv2d(x, block->weight, {}, {2, 1}, {1, 2}, {1, 2}, 2);
  const torch::Tensor mean = y1.mean({0, 2, 3}), var = y1.var({0, 2, 3}, false);
  const double n = static_cast<double>(y1.numel() / 6);
  const torch::Tensor mean_after = 0.9 * mean_before + 0.1 * mean;
  const torch::Tensor var_after = 0.9 * var_before + 0.1 * var * n / (n - 1);
  const torch::Tensor gamma = block->bn->weight, running = (var_after + 1e-3).sqrt();
  const torch::Tensor folded = block->weight * (gamma / running).view({-1, 1, 1, 1});
  const torch::Tensor wq = method->weight_quantizer({4, true, 6, ""})->forward(folded);
  const torch::Tensor xq = method->activation_quantizer({4, false, 4, ""})->forward(x);
  const torch::Tensor sigma = (var + 1e-3).sqrt();
  torch::Tensor expected =
      torch::conv2d(xq, wq, {}, {2, 1}, {1, 2}, {1, 2}, 2) * (running / sigma).view({1, -1, 1, 1}) +
      (block->bn->bias - mean * gamma / sigma).view({1, -1, 1, 1});
  expected = torch::leaky_relu(expected, 0.2);

  EXPECT_TRUE(torch::allclose(block(x), expected, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(block->bn->running_mean, mean_after, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(block->bn->running_var, var_after, 1e-5, 1e-6));
}

// Q(c w) = c Q(w) by channel: the weight that one pass leaves behind is the quantized folded
// weight.
TEST(ConvBlock, OnePassFoldingGivesTheQuantizedFoldedWeight) {
  torch::manual_seed(7);
  const auto method = method_of("iao");
  ConvBlock block(quantized_by(*method, strided_conv(true), 8));
  disturb_batch_norm(block);
  block(torch::rand({3, 4, 9, 13}));
  block->eval();
  const torch::Tensor scale = block->bn->weight / (block->bn->running_var + 1e-3).sqrt();
  const torch::Tensor folded = block->weight.detach() * scale.detach().view({-1, 1, 1, 1});
  const torch::Tensor expected = method->weight_quantizer({8, true, 6, ""})->forward(folded);
  block->fold_batch_norm();
  // A code that sits on a tie may round the other way, one step off.
  const torch::Tensor step = folded.abs().amax({1, 2, 3}) / 127;
  const torch::Tensor error = (block->weight - expected).abs() / step.view({-1, 1, 1, 1});
  EXPECT_LT(error.max().item<double>(), 1.001);
  EXPECT_GT((error < 1e-3).to(torch::kFloat).mean().item<double>(), 0.98);
}

TEST(ConvBlock, FoldingSurvivesAGammaOfZero) {
  for (const char* fold : {"one_pass", "two_pass"}) {
    torch::manual_seed(8);
    const auto method = method_of("iao", {{"FOLD", fold}});
    ConvBlock block(quantized_by(*method, strided_conv(true), 8));
    {
      const torch::NoGradGuard no_grad;
      block->bn->weight.zero_();
    }
    const torch::Tensor y = block(torch::rand({3, 4, 9, 13}));
    y.square().sum().backward();
    for (const auto& parameter : block->named_parameters()) {
      EXPECT_TRUE(torch::isfinite(parameter.value().grad()).all().item<bool>())
          << fold << " " << parameter.key();
    }
    EXPECT_TRUE(torch::isfinite(y).all().item<bool>()) << fold;
  }
}

TEST(ConvBlock, FrozenBatchNormStatisticsServeTwoPassTrainingToo) {
  torch::manual_seed(9);
  const auto method = method_of("iao", {{"FOLD", "two_pass"}});
  ConvBlock block(quantized_by(*method, strided_conv(true), 8));
  disturb_batch_norm(block);
  const torch::Tensor x = torch::rand({2, 4, 9, 13});
  block(x);
  block->bn->eval();
  const torch::Tensor mean = block->bn->running_mean.clone();
  const torch::Tensor trained = block(x).detach();
  EXPECT_TRUE(torch::equal(mean, block->bn->running_mean));
  for (auto& child : block->children()) {
    child->eval();
  }
  block->eval();
  // The range of the input moved once more in training.
  EXPECT_TRUE(torch::allclose(block(x), trained, 1e-3, 1e-3));
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
