#include "ssdq/solver/ema.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

void fill(torch::nn::BatchNorm2d& module, double value) {
  const torch::NoGradGuard no_grad;
  for (torch::Tensor& parameter : module->parameters()) {
    parameter.fill_(value);
  }
  module->running_mean.fill_(-value);
}

TEST(Ema, FollowsTheRecurrenceForParametersAndBuffers) {
  torch::nn::BatchNorm2d module(2);
  fill(module, 0);
  Ema ema(module.ptr(), 0.5);
  double expected = 0;
  for (int n = 0; n < 20; ++n) {
    fill(module, n + 1);
    module->num_batches_tracked.fill_(n);
    ema.update();
    const double keep = std::min(0.5, (1.0 + n) / (10.0 + n));
    expected = keep * expected + (1 - keep) * (n + 1);
  }
  const EmaScope scope(ema);
  EXPECT_NEAR(module->weight[1].item<double>(), expected, 1e-4);
  EXPECT_NEAR(module->running_mean[0].item<double>(), -expected, 1e-4);
  EXPECT_EQ(module->num_batches_tracked.item<int64_t>(), 19);
}

TEST(Ema, ScopeRestoresTheModuleAndKeepsItsTensors) {
  torch::nn::BatchNorm2d module(2);
  fill(module, 1);
  Ema ema(module.ptr(), 0.9);
  fill(module, 3);
  const torch::Tensor held = module->weight;
  {
    const EmaScope scope(ema);
    EXPECT_EQ(held[0].item<float>(), 1);
  }
  EXPECT_EQ(held[0].item<float>(), 3);
  EXPECT_TRUE(held.requires_grad());
  EXPECT_EQ(module->running_mean[0].item<float>(), -3);
}

TEST(Ema, StateContinuesElsewhereBitForBit) {
  torch::nn::BatchNorm2d a(2), b(2);
  Ema whole(a.ptr(), 0.9), rest(b.ptr(), 0.9);
  for (int n = 0; n < 6; ++n) {
    fill(a, 0.37 * n);
    fill(b, 0.37 * n);
    whole.update();
    if (n < 3) {
      rest.load_state(whole.state());
    } else {
      rest.update();
    }
  }
  const State x = whole.state(), y = rest.state();
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_TRUE(torch::equal(x[i].second, y[i].second)) << x[i].first;
  }
  EXPECT_THROW(rest.load_state({}), Error);
}

}  // namespace
}  // namespace ssdq
