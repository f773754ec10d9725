#include "ssdq/layers/l2_norm.h"

#include <cmath>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace ssdq {
namespace {

TEST(L2NormLayer, EqualsALoopOverLocations) {
  torch::manual_seed(1);
  L2NormLayer layer(L2NormOptions{3, 20});
  layer->weight.data().normal_();
  const torch::Tensor x = torch::randn({2, 3, 2, 2});
  const torch::Tensor y = layer(x);
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t i = 0; i < 4; ++i) {
      double squares = 0;
      for (int64_t c = 0; c < 3; ++c) {
        squares += std::pow(x[n][c][i / 2][i % 2].item<double>(), 2);
      }
      for (int64_t c = 0; c < 3; ++c) {
        const double expected = layer->weight[c].item<double>() *
                                x[n][c][i / 2][i % 2].item<double>() / std::sqrt(squares);
        EXPECT_NEAR(y[n][c][i / 2][i % 2].item<double>(), expected, 1e-5);
      }
    }
  }
}

TEST(L2NormLayer, LocationOfZerosStaysZeroWithFiniteGradient) {
  L2NormLayer layer(L2NormOptions{4, 20});
  const torch::Tensor x = torch::zeros({1, 4, 2, 2}).set_requires_grad(true);
  const torch::Tensor y = layer(x);
  EXPECT_TRUE(torch::equal(y, torch::zeros_like(y)));
  (y * 0.001).sum().backward();
  EXPECT_TRUE(torch::isfinite(x.grad()).all().item<bool>());
  EXPECT_TRUE(torch::isfinite(layer->weight.grad()).all().item<bool>());
}

}  // namespace
}  // namespace ssdq
