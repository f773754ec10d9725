#include "ssdq/quantization/dorefa_quantizer.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::vector<double> numbers(const torch::Tensor& x) {
  const torch::Tensor flat = x.detach().to(torch::kDouble).contiguous().view(-1);
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

double largest_tanh(const std::vector<double>& w) {
  double m = 0;
  for (const double v : w) {
    m = std::max(m, std::abs(std::tanh(v)));
  }
  return m;
}

QuantizerPtr weight_quantizer(int bits) {
  return std::make_shared<DoReFaWeightQuantizerImpl>(TensorSpec{bits, true, 1, "conv"});
}

QuantizerPtr activation_quantizer(bool is_signed, Options options = {}, int bits = 8) {
  QuantizationConfig config;
  config.options = std::move(options);
  return make_dorefa(config)->activation_quantizer({bits, is_signed, 1, "conv"});
}

TEST(DoReFaWeightQuantizer, EqualsTheFormulaAtEveryWidth) {
  torch::manual_seed(1);
  for (const int bits : {2, 4, 8, 16}) {
    for (const auto type : {torch::kFloat, torch::kDouble}) {
      const torch::Tensor w = torch::randn({5, 3, 3, 3}, type);
      const auto got = numbers(weight_quantizer(bits)->forward(w));
      const auto given = numbers(w);
      const double n = std::pow(2, bits) - 1, m = largest_tanh(given);
      for (size_t i = 0; i < given.size(); ++i) {
        const double y = (std::tanh(given[i]) / (2 * m) + 0.5) * n;
        const double expected = 2 * std::nearbyint(y) / n - 1;
        const bool near_tie = std::abs(y - std::floor(y) - 0.5) < 1e-2;
        EXPECT_NEAR(got[i], expected, near_tie ? 2.001 / n : 1e-6)
            << bits << " bits, w " << given[i];
      }
    }
  }
}

TEST(DoReFaWeightQuantizer, GradientEqualsFiniteDifferencesOfTheUnroundedFormula) {
  torch::manual_seed(2);
  const torch::Tensor w = torch::randn({2, 3, 2, 2}, torch::kDouble).set_requires_grad(true);
  const torch::Tensor g = torch::randn_like(w);
  weight_quantizer(4)->forward(w).backward(g);
  const auto gradient = numbers(w.grad()), weights = numbers(w), upstream = numbers(g);
  const auto objective = [&](const std::vector<double>& v) {
    const double m = largest_tanh(v);
    double sum = 0;
    for (size_t i = 0; i < v.size(); ++i) {
      sum += upstream[i] * std::tanh(v[i]) / m;
    }
    return sum;
  };
  for (size_t i = 0; i < weights.size(); ++i) {
    auto up = weights, down = weights;
    up[i] += 1e-6;
    down[i] -= 1e-6;
    EXPECT_NEAR(gradient[i], (objective(up) - objective(down)) / 2e-6, 1e-7);
  }
}

TEST(DoReFaWeightQuantizer, FloatAndDoubleAgreeInAnyMemoryFormat) {
  torch::manual_seed(3);
  const torch::Tensor base = torch::randn({4, 6, 3, 3});
  const torch::Tensor g = torch::randn_like(base);
  const torch::Tensor exact = base.to(torch::kDouble).set_requires_grad(true);
  weight_quantizer(8)->forward(exact).backward(g.to(torch::kDouble));
  for (const auto format : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    const torch::Tensor w = base.clone().contiguous(format).set_requires_grad(true);
    weight_quantizer(8)->forward(w).backward(g);
    EXPECT_TRUE(torch::allclose(w.grad().to(torch::kDouble), exact.grad(), 1e-4, 1e-5));
  }
}

TEST(DoReFaWeightQuantizer, ZeroWeightsGiveFiniteValuesAndGradients) {
  const torch::Tensor w = torch::zeros({2, 2, 3, 3}).set_requires_grad(true);
  const torch::Tensor q = weight_quantizer(8)->forward(w);
  q.sum().backward();
  EXPECT_TRUE(torch::isfinite(q).all().item<bool>());
  EXPECT_TRUE(torch::equal(w.grad(), torch::ones_like(w)));
}

TEST(DoReFaActivationQuantizer, EqualsTheFormulaForUnsignedAndSignedInputs) {
  torch::manual_seed(4);
  for (const int bits : {2, 4, 8, 16}) {
    for (const bool is_signed : {false, true}) {
      const torch::Tensor x = torch::randn({2, 4, 5, 5}, torch::kDouble) * 8;
      const auto got = numbers(activation_quantizer(is_signed, {}, bits)->forward(x));
      const auto single =
          numbers(activation_quantizer(is_signed, {}, bits)->forward(x.to(torch::kFloat)));
      const auto given = numbers(x);
      const double n = std::pow(2, is_signed ? bits - 1 : bits) - 1;
      for (size_t i = 0; i < given.size(); ++i) {
        const double y = std::min(1.0, std::max(is_signed ? -1.0 : 0.0, 0.1 * given[i]));
        EXPECT_DOUBLE_EQ(got[i], std::nearbyint(y * n) / n);
        EXPECT_NEAR(single[i], y, 0.5001 / n);
      }
    }
  }
}

TEST(DoReFaActivationQuantizer, RoundsHalvesToEven) {
  // Scale 1, 3 levels: 1/6 is code 0.5, 1/2 is 1.5, 5/6 is 2.5. The float nearest 1/2 is exact.
  const Options options{{"ACTIVATION_SCALE", "0.5"}};
  const torch::Tensor x = torch::tensor({1.0F, -1.0F, 0.0F, 2.0F});
  const torch::Tensor q = activation_quantizer(false, options, 2)->forward(x);
  EXPECT_TRUE(torch::allclose(q, torch::tensor({2 / 3.0F, 0.0F, 0.0F, 1.0F})));
}

TEST(DoReFaActivationQuantizer, GradientIsTheScaleInsideTheClampOnly) {
  const std::vector<float> values{-12, -3, 0, 0.3F, 9.9F, 10.2F};
  for (const bool is_signed : {false, true}) {
    const torch::Tensor x = torch::tensor(values).set_requires_grad(true);
    activation_quantizer(is_signed)->forward(x).sum().backward();
    const float below = is_signed ? 0.1F : 0.0F;
    EXPECT_TRUE(torch::allclose(x.grad(), torch::tensor({0.0F, below, 0.1F, 0.1F, 0.1F, 0.0F})));
  }
}

TEST(DoReFaActivationQuantizer, RescaledOutputApproximatesTheInput) {
  const torch::Tensor x = torch::linspace(0, 4, 101).set_requires_grad(true);
  const Options options{{"ACTIVATION_SCALE", "0.25"}, {"RESCALE_OUTPUT", "true"}};
  const torch::Tensor q = activation_quantizer(false, options)->forward(x);
  EXPECT_LE((q - x).abs().max().item<double>(), 0.5 * 4 / 255 + 1e-6);
  q.sum().backward();
  EXPECT_TRUE(torch::allclose(x.grad(), torch::ones_like(x)));
}

TEST(DoReFaActivationQuantizer, KeepsTypeAndLayoutOfItsInput) {
  const torch::Tensor x =
      torch::rand({2, 3, 4, 5}).contiguous(torch::MemoryFormat::ChannelsLast) * 12;
  const torch::Tensor q = activation_quantizer(false)->forward(x);
  EXPECT_TRUE(q.is_contiguous(torch::MemoryFormat::ChannelsLast));
  const torch::Tensor narrow = activation_quantizer(false)->forward(x.to(torch::kBFloat16));
  EXPECT_EQ(narrow.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(torch::allclose(narrow.to(torch::kFloat), q, 0, 0.02));
}

TEST(DoReFaActivationQuantizer, Bf16GradientIsTheScaleInsideTheClampOnly) {
  const torch::Tensor x =
      torch::tensor({-3.0F, 0.0F, 0.5F, 9.0F, 11.0F}).to(torch::kBFloat16).set_requires_grad(true);
  activation_quantizer(false)->forward(x).to(torch::kFloat).sum().backward();
  const torch::Tensor expected = torch::tensor({0.0F, 0.1F, 0.1F, 0.1F, 0.0F});
  EXPECT_TRUE(torch::allclose(x.grad().to(torch::kFloat), expected, 0.01));
}

TEST(DoReFaActivationQuantizer, StridedGradientReachesTheRightElements) {
  torch::manual_seed(5);
  const torch::Tensor x = (torch::randn({2, 3, 4, 5}) * 10).set_requires_grad(true);
  const torch::Tensor g = torch::randn({2, 3, 4, 5}).contiguous(torch::MemoryFormat::ChannelsLast);
  activation_quantizer(false)->forward(x).backward(g);
  const torch::Tensor inside = (x >= 0).logical_and(x <= 10).to(torch::kFloat);
  EXPECT_TRUE(torch::allclose(x.grad(), g * inside * 0.1));
}

TEST(DoReFa, LeavesThirtyTwoBitsAloneAndRefusesOne) {
  const auto method = make_dorefa({});
  EXPECT_EQ(method->weight_quantizer({32, true, 4, "backbone.1"}), nullptr);
  EXPECT_EQ(method->activation_quantizer({32, true, 4, "backbone.1"}), nullptr);
  try {
    method->weight_quantizer({1, true, 4, "backbone.1"});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "backbone.1: dorefa quantizes weights to 2..16 bits (32 leaves them in float), "
                 "got 1");
  }
}

TEST(DoReFa, RefusesUnknownOptionsAndBadValues) {
  const auto message = [](const Options& options) -> std::string {
    QuantizationConfig config;
    config.options = options;
    try {
      make_dorefa(config);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({{"SCALE", "1"}}),
            "QUANTIZATION.OPTIONS: unknown key 'SCALE' of dorefa (known: ACTIVATION_SCALE, "
            "RESCALE_OUTPUT)");
  EXPECT_EQ(message({{"ACTIVATION_SCALE", "-1"}}),
            "QUANTIZATION.OPTIONS.ACTIVATION_SCALE must be a number in 1e-06..1000000, got '-1'");
  EXPECT_EQ(message({{"RESCALE_OUTPUT", "maybe"}}),
            "QUANTIZATION.OPTIONS.RESCALE_OUTPUT must be true or false, got 'maybe'");
}

}  // namespace
}  // namespace ssdq
