#include "ssdq/layers/functional.h"

#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace ssdq {
namespace {

constexpr Activation kActivations[] = {
    Activation::kLinear, Activation::kRelu,  Activation::kRelu6,    Activation::kLeaky,
    Activation::kHSwish, Activation::kSwish, Activation::kHSigmoid, Activation::kSigmoid};

double formula(Activation activation, double x) {
  const double hard_sigmoid = std::min(6.0, std::max(0.0, x + 3)) / 6;
  const double sigmoid = 1 / (1 + std::exp(-x));
  switch (activation) {
    case Activation::kLinear:
      return x;
    case Activation::kRelu:
      return std::max(0.0, x);
    case Activation::kRelu6:
      return std::min(6.0, std::max(0.0, x));
    case Activation::kLeaky:
      return x > 0 ? x : 0.1 * x;
    case Activation::kHSwish:
      return x * hard_sigmoid;
    case Activation::kSwish:
      return x * sigmoid;
    case Activation::kHSigmoid:
      return hard_sigmoid;
    case Activation::kSigmoid:
      return sigmoid;
  }
  return 0;
}

TEST(Activate, EqualsItsFormulaInFloatAndHasABf16Gradient) {
  const std::vector<float> values{-7, -2.5F, -0.5F, 0, 0.25F, 2, 4, 8};
  for (const Activation activation : kActivations) {
    const torch::Tensor x = torch::tensor(values);
    const torch::Tensor y = activate(x, activation);
    const torch::Tensor narrow = x.to(torch::kBFloat16).set_requires_grad(true);
    const torch::Tensor z = activate(narrow * 1, activation);
    z.to(torch::kFloat).sum().backward();
    for (size_t i = 0; i < values.size(); ++i) {
      const double expected = formula(activation, values[i]);
      EXPECT_NEAR(y[static_cast<int64_t>(i)].item<double>(), expected, 1e-6);
      EXPECT_NEAR(z[static_cast<int64_t>(i)].item<double>(), expected, 0.05);
    }
    EXPECT_TRUE(torch::isfinite(narrow.grad()).all().item<bool>());
  }
}

TEST(Pool, GlobalPoolsReduceTheWholeMap) {
  const torch::Tensor x = torch::randn({2, 3, 4, 5});
  Pool options;
  options.global = true;
  EXPECT_TRUE(torch::equal(pool(x, options), std::get<0>(x.flatten(2).max(2)).view({2, 3, 1, 1})));
  options.kind = PoolKind::kAverage;
  EXPECT_TRUE(torch::allclose(pool(x, options), x.flatten(2).mean(2).view({2, 3, 1, 1})));
}

TEST(Pool, CeilModeKeepsTheLastPartialWindow) {
  const torch::Tensor x = torch::arange(9, torch::kFloat).view({1, 1, 3, 3});
  Pool options;
  EXPECT_EQ(pool(x, options).numel(), 1);
  options.ceil_mode = true;
  EXPECT_TRUE(torch::equal(pool(x, options).view(-1), torch::tensor({4.0F, 5.0F, 7.0F, 8.0F})));
}

TEST(Upsample, RepeatsEachPixel) {
  const torch::Tensor x = torch::randn({1, 2, 3, 4});
  const torch::Tensor expected = x.repeat_interleave(3, 2).repeat_interleave(3, 3);
  EXPECT_TRUE(torch::equal(upsample(x, Upsample{3}), expected));
}

TEST(Add, SumsAllInputsAndLeavesThemAlone) {
  const torch::Tensor a = torch::randn({2, 3}), b = torch::randn({2, 3}), c = torch::randn({2, 3});
  const torch::Tensor kept = a.clone();
  Add options;
  options.activation = Activation::kRelu;
  EXPECT_TRUE(torch::allclose(add({a, b, c}, options), torch::relu(a + b + c)));
  EXPECT_TRUE(torch::equal(a, kept));
}

}  // namespace
}  // namespace ssdq
