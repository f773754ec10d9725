#include "ssdq/layers/batch_norm_activation.h"

#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/layers/functional.h"
#include "ssdq/quantization/build.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

struct Case {
  std::vector<int64_t> shape;
  Activation activation;
};

const std::vector<Case> kCases = {
    {{2, 3, 5, 7}, Activation::kLinear},   {{3, 24, 6, 5}, Activation::kRelu6},
    {{2, 96, 9, 9}, Activation::kRelu},    {{4, 1280, 2, 1}, Activation::kRelu6},
    {{5, 17, 1, 1}, Activation::kRelu},    {{2, 320, 10, 10}, Activation::kLinear},
    {{2, 64, 40, 40}, Activation::kRelu6}, {{2, 8, 4, 4}, Activation::kHSwish},
};

torch::nn::BatchNorm2d batch_norm(int64_t channels, torch::ScalarType type) {
  torch::manual_seed(5);
  torch::nn::BatchNorm2d bn(torch::nn::BatchNorm2dOptions(channels).momentum(0.3));
  const torch::NoGradGuard no_grad;
  bn->weight.copy_(torch::randn({channels}));
  bn->bias.copy_(torch::randn({channels}));
  bn->running_mean.copy_(torch::randn({channels}));
  bn->running_var.copy_(torch::rand({channels}) + 0.5);
  bn->to(type);
  return bn;
}

struct Outcome {
  torch::Tensor y, gx, gweight, gbias, mean, variance;
};

// The function under test, or LibTorch's operators in double.
Outcome run(const Case& c, bool ours, bool training, torch::ScalarType type, double offset = 0) {
  torch::manual_seed(9);
  auto bn = batch_norm(c.shape[1], ours ? torch::kFloat : torch::kDouble);
  bn->train(training);
  const torch::Tensor data = (torch::randn(c.shape) * 2 + offset).to(type);
  const torch::Tensor g = torch::randn(c.shape).to(type);
  torch::Tensor x =
      ours ? data.contiguous(torch::MemoryFormat::ChannelsLast) : data.to(torch::kDouble);
  x = x.detach().requires_grad_();
  const torch::Tensor y = ours ? batch_norm_activation(x, bn, {c.activation, 0.1, nullptr})
                               : activate(bn->forward(x), c.activation, 0.1);
  y.backward(ours ? g : g.to(torch::kDouble));
  return {y.detach(),      x.grad(),         bn->weight.grad(),
          bn->bias.grad(), bn->running_mean, bn->running_var};
}

void expect_near(const torch::Tensor& found, const torch::Tensor& expected, double tolerance,
                 const char* what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LE((found.to(torch::kDouble) - expected).abs().max().item<double>(), tolerance * scale)
      << what;
}

void expect_same(const Case& c, bool training, torch::ScalarType type, double tolerance,
                 double offset = 0) {
  SCOPED_TRACE(::testing::Message()
               << torch::IntArrayRef(c.shape) << (training ? " training" : ""));
  const Outcome found = run(c, true, training, type, offset);
  const Outcome expected = run(c, false, training, type, offset);
  expect_near(found.y, expected.y, tolerance, "y");
  expect_near(found.gx, expected.gx, tolerance, "gradient of x");
  expect_near(found.gweight, expected.gweight, tolerance, "gradient of the weight");
  expect_near(found.gbias, expected.gbias, tolerance, "gradient of the bias");
  expect_near(found.mean, expected.mean, tolerance, "running mean");
  expect_near(found.variance, expected.variance, tolerance, "running variance");
}

TEST(BatchNormActivation, EqualsTheOperatorsOneAfterTheOther) {
  for (const Case& c : kCases) {
    expect_same(c, true, torch::kFloat, 2e-5);
    expect_same(c, false, torch::kFloat, 2e-5);
  }
}

// A bfloat16 has 8 bits; a gradient on the edge of the clamp may pass on one side only.
TEST(BatchNormActivation, EqualsThemInBfloat16) {
  for (const Case& c : kCases) {
    if (c.activation == Activation::kLinear) {
      expect_same(c, true, torch::kBFloat16, 1.0 / 128);
    }
  }
}

struct QuantizedCase {
  std::string type;
  Options options;
  Activation activation;
};

const std::vector<QuantizedCase> kQuantized = {
    {"dorefa", {}, Activation::kRelu6},
    {"dorefa", {}, Activation::kLinear},
    {"uniform", {}, Activation::kRelu},
    {"uniform", {}, Activation::kLinear},
    {"uniform", {{"ACTIVATION_SYMMETRIC", "false"}}, Activation::kLinear},
    {"iao", {}, Activation::kRelu6},
    {"lsq", {}, Activation::kRelu6},
    {"lsq", {}, Activation::kLinear},
    {"lsq_plus", {}, Activation::kLinear},
    {"pact", {}, Activation::kRelu6},
    {"pact", {}, Activation::kLinear},
    {"tqt", {}, Activation::kRelu},
    {"lqnet", {}, Activation::kRelu6},
    {"bwn", {}, Activation::kLinear},
};

QuantizerPtr quantizer(const QuantizedCase& c) {
  QuantizerRegistry registry;
  register_quantizers(registry);
  QuantizationConfig config;
  config.options = c.options;
  const int bits = c.type == "bwn" ? 2 : 4;
  return registry.create(c.type, config)
      ->activation_quantizer({bits, c.activation == Activation::kLinear, 24, "layer"});
}

struct QuantizedOutcome {
  torch::Tensor y, gx, gweight;
  std::vector<torch::Tensor> gradients, ranges;
};

// Three training steps, the first without quantization, then one evaluation, which is seen.
QuantizedOutcome run_quantized(const QuantizedCase& c, bool on_the_way) {
  auto bn = batch_norm(24, torch::kFloat);
  const QuantizerPtr q = quantizer(c);
  torch::manual_seed(3);
  QuantizedOutcome result;
  for (int step = 0; step < 4; ++step) {
    bn->train(step < 3);
    q->train(step < 3);
    q->set_mode({step > 0, true});
    q->zero_grad();
    bn->zero_grad();
    torch::Tensor x =
        torch::randn({3, 24, 9, 11}).contiguous(torch::MemoryFormat::ChannelsLast).requires_grad_();
    torch::Tensor y = batch_norm_activation(x, bn, {c.activation, 0, on_the_way ? q : nullptr});
    y = on_the_way ? y : q->forward(y);
    y.backward(torch::randn(y.sizes()));
    result.y = y.detach();
    result.gx = x.grad();
    result.gweight = bn->weight.grad().clone();
    result.gradients.clear();
    for (const torch::Tensor& parameter : q->parameters()) {
      result.gradients.push_back(parameter.grad().defined() ? parameter.grad().clone()
                                                            : torch::zeros_like(parameter));
    }
  }
  result.ranges = q->buffers();
  return result;
}

TEST(BatchNormActivation, QuantizesOnTheWayAsAfterwards) {
  for (const QuantizedCase& c : kQuantized) {
    SCOPED_TRACE(c.type + " " + std::to_string(static_cast<int>(c.activation)));
    const QuantizedOutcome found = run_quantized(c, true), expected = run_quantized(c, false);
    EXPECT_TRUE(torch::equal(found.y, expected.y));
    EXPECT_TRUE(torch::allclose(found.gx, expected.gx, 1e-4, 1e-6));
    EXPECT_TRUE(torch::allclose(found.gweight, expected.gweight, 1e-4, 1e-5));
    ASSERT_EQ(found.gradients.size(), expected.gradients.size());
    for (size_t i = 0; i < found.gradients.size(); ++i) {
      EXPECT_TRUE(torch::allclose(found.gradients[i], expected.gradients[i], 1e-4, 1e-6));
    }
    for (size_t i = 0; i < found.ranges.size(); ++i) {
      EXPECT_TRUE(torch::equal(found.ranges[i], expected.ranges[i])) << "range " << i;
    }
  }
}

TEST(BatchNormActivation, RefusesWhatIsNotFiniteByTheLayerThatQuantizes) {
  for (const char* type : {"dorefa", "uniform", "lsq"}) {
    const QuantizedCase c{type, {}, Activation::kRelu};
    auto bn = batch_norm(24, torch::kFloat);
    const QuantizerPtr q = quantizer(c);
    torch::Tensor x = torch::randn({2, 24, 4, 4}).contiguous(torch::MemoryFormat::ChannelsLast);
    batch_norm_activation(x, bn, {c.activation, 0, q});
    x.data_ptr<float>()[100] = std::numeric_limits<float>::infinity();
    try {
      batch_norm_activation(x, bn, {c.activation, 0, q});
      ADD_FAILURE() << type << " took an infinity";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::StartsWith("layer: a tensor to quantize holds"));
    }
  }
}

TEST(BatchNormActivation, KeepsItsPrecisionFarFromZero) {
  expect_same({{2, 24, 30, 30}, Activation::kLinear}, true, torch::kFloat, 1e-3, 1000);
}

// Its rounding error is that of 3.25, times 316 = 1 / sqrt(eps).
TEST(BatchNormActivation, GivesAConstantChannelItsBias) {
  auto bn = batch_norm(16, torch::kFloat);
  const torch::Tensor x =
      torch::full({2, 16, 4, 4}, 3.25).contiguous(torch::MemoryFormat::ChannelsLast);
  const torch::Tensor y = batch_norm_activation(x, bn, {Activation::kLinear, 0, nullptr});
  EXPECT_TRUE(torch::allclose(y, bn->bias.view({1, -1, 1, 1}).expand_as(y), 0, 1e-3));
}

TEST(BatchNormActivation, CumulatesStatisticsWithoutAMomentum) {
  auto bn = batch_norm(16, torch::kFloat);
  bn->options.momentum(c10::nullopt);
  const auto map = [](double value) {
    return torch::full({2, 16, 4, 4}, value).contiguous(torch::MemoryFormat::ChannelsLast);
  };
  for (const double value : {1.0, 2.0, 6.0}) {
    batch_norm_activation(map(value), bn, {Activation::kRelu, 0, nullptr});
  }
  EXPECT_TRUE(torch::allclose(bn->running_mean, torch::full({16}, 3.0)));
}

TEST(BatchNormActivation, DoesNotDependOnTheThreads) {
  const Case c{{2, 48, 40, 40}, Activation::kRelu6};
  const int threads = torch::get_num_threads();
  torch::set_num_threads(1);
  const Outcome one = run(c, true, true, torch::kFloat);
  torch::set_num_threads(2);
  const Outcome two = run(c, true, true, torch::kFloat);
  torch::set_num_threads(threads);
  EXPECT_TRUE(torch::equal(one.y, two.y));
  EXPECT_TRUE(torch::equal(one.gx, two.gx));
  EXPECT_TRUE(torch::equal(one.gweight, two.gweight));
}

}  // namespace
}  // namespace ssdq
