#include "ssdq/layers/synchronised_batch_norm.h"

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/distributed/group_statistics.h"
#include "ssdq/layers/batch_norm_activation.h"
#include "ssdq/layers/functional.h"
#include "tests/distributed/thread_group.h"

namespace ssdq {
namespace {

constexpr int64_t kChannels = 24;
// Images of each rank; the last one holds a single pixel, which has no variance of its own.
const std::vector<std::vector<int64_t>> kShapes = {
    {3, kChannels, 6, 5}, {1, kChannels, 6, 5}, {2, kChannels, 3, 2}, {1, kChannels, 1, 1}};

struct Setting {
  std::string name;
  torch::ScalarType type;
  bool channels_last;
  double offset;  // of the data, whose deviation is about 2
  double tolerance;
};

std::ostream& operator<<(std::ostream& out, const Setting& setting) { return out << setting.name; }

torch::nn::BatchNorm2d make_batch_norm(torch::ScalarType type) {
  torch::manual_seed(5);
  torch::nn::BatchNorm2d bn(torch::nn::BatchNorm2dOptions(kChannels).momentum(0.3));
  const torch::NoGradGuard no_grad;
  bn->weight.copy_(torch::randn({kChannels}));
  bn->bias.copy_(torch::randn({kChannels}));
  bn->to(type);
  return bn;
}

// Of each rank; threads share LibTorch's generator, so they must not draw.
std::vector<torch::nn::BatchNorm2d> make_batch_norms(torch::ScalarType type) {
  std::vector<torch::nn::BatchNorm2d> norms;
  for (size_t i = 0; i < kShapes.size(); ++i) {
    norms.push_back(make_batch_norm(type));
  }
  return norms;
}

// Every number of all ranks as one row of pixels [1, C, 1, pixels].
torch::Tensor pixels_of(const torch::Tensor& x) {
  return x.to(torch::kDouble).permute({1, 0, 2, 3}).reshape({1, kChannels, 1, -1});
}

struct Part {
  torch::Tensor x, g, y;
};

std::vector<Part> make_parts(const Setting& setting) {
  torch::manual_seed(9);
  std::vector<Part> parts;
  for (const auto& shape : kShapes) {
    const auto format =
        setting.channels_last ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
    Part part;
    part.x = (torch::randn(shape) * 2 + setting.offset).to(setting.type).contiguous(format);
    part.x.requires_grad_();
    part.g = torch::randn(shape).to(setting.type);
    parts.push_back(part);
  }
  return parts;
}

torch::Tensor all_of(const std::vector<Part>& parts, torch::Tensor Part::*member) {
  std::vector<torch::Tensor> tensors;
  for (const Part& part : parts) {
    tensors.push_back(pixels_of((part.*member).detach()));
  }
  return torch::cat(tensors, 3);
}

void expect_near(const torch::Tensor& found, const torch::Tensor& expected, double tolerance,
                 const char* what) {
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LE((found.to(torch::kDouble) - expected).abs().max().item<double>(), tolerance * scale)
      << what;
}

class SynchronisedBatchNorm : public ::testing::TestWithParam<Setting> {};

// With LibTorch's batch norm of all numbers in double.
TEST_P(SynchronisedBatchNorm, EqualsBatchNormOfTheRanksImagesInOne) {
  const Setting& setting = GetParam();
  std::vector<Part> parts = make_parts(setting);
  auto norms = make_batch_norms(setting.type == torch::kDouble ? torch::kDouble : torch::kFloat);
  testing::run_ranks(static_cast<int>(parts.size()), [&](const auto& group, const auto&) {
    const auto rank = static_cast<size_t>(group->rank());
    {
      const StatisticsScope scope(statistics_over(group), true);
      parts[rank].y =
          batch_norm_activation(parts[rank].x, norms[rank], {Activation::kRelu, 0.1, nullptr});
    }
    parts[rank].y.backward(parts[rank].g);
  });
  auto bn = make_batch_norm(torch::kDouble);
  const torch::Tensor x = all_of(parts, &Part::x).requires_grad_();
  const torch::Tensor y = activate(bn->forward(x), Activation::kRelu);
  y.backward(all_of(parts, &Part::g));
  expect_near(all_of(parts, &Part::y), y, setting.tolerance, "y");
  std::vector<torch::Tensor> gradients;
  torch::Tensor to_weight = torch::zeros({kChannels}, torch::kDouble), to_bias = to_weight.clone();
  for (size_t i = 0; i < parts.size(); ++i) {
    gradients.push_back(pixels_of(parts[i].x.grad()));
    to_weight += norms[i]->weight.grad();
    to_bias += norms[i]->bias.grad();
    expect_near(norms[i]->running_mean, bn->running_mean, setting.tolerance, "running mean");
    expect_near(norms[i]->running_var, bn->running_var, setting.tolerance, "running variance");
    EXPECT_TRUE(torch::equal(norms[i]->running_var, norms[0]->running_var));
    EXPECT_EQ(norms[i]->num_batches_tracked.item<int64_t>(), 1);
  }
  expect_near(torch::cat(gradients, 3), x.grad(), setting.tolerance, "gradient of x");
  expect_near(to_weight, bn->weight.grad(), setting.tolerance, "gradient of the weight");
  expect_near(to_bias, bn->bias.grad(), setting.tolerance, "gradient of the bias");
}

INSTANTIATE_TEST_SUITE_P(
    Settings, SynchronisedBatchNorm,
    ::testing::Values(Setting{"Fused", torch::kFloat, true, 0, 1e-5},
                      Setting{"FusedFarFromZero", torch::kFloat, true, 1000, 1e-3},
                      Setting{"Operators", torch::kFloat, false, 0, 1e-5},
                      Setting{"OperatorsFarFromZero", torch::kFloat, false, 1000, 1e-3},
                      Setting{"Double", torch::kDouble, false, 0, 1e-11}),
    [](const auto& test) { return test.param.name; });

// A bfloat16 result has 8 bits, and its ReLU may pass a gradient where that of double does not.
TEST(SynchronisedBatchNormInBfloat16, FollowsTheFloatOne) {
  const Setting setting{"Bfloat16", torch::kBFloat16, true, 0, 0};
  const Setting wide{"Float", torch::kFloat, true, 0, 0};
  std::vector<std::vector<Part>> of_type;
  for (const Setting& one : {setting, wide}) {
    std::vector<Part> parts = make_parts(one);
    auto norms = make_batch_norms(torch::kFloat);
    testing::run_ranks(static_cast<int>(parts.size()), [&](const auto& group, const auto&) {
      Part& part = parts[static_cast<size_t>(group->rank())];
      auto& bn = norms[static_cast<size_t>(group->rank())];
      const StatisticsScope scope(statistics_over(group), true);
      part.y = batch_norm_activation(part.x, bn, {Activation::kLinear, 0.1, nullptr});
      EXPECT_EQ(part.y.scalar_type(), one.type);
    });
    of_type.push_back(parts);
  }
  expect_near(all_of(of_type[0], &Part::y), all_of(of_type[1], &Part::y), 1.0 / 64, "y");
}

TEST(SynchronisedStatistics, HaveTheGradientsOfMeanAndVariance) {
  const Setting setting{"Double", torch::kDouble, false, 3, 1e-11};
  std::vector<Part> parts = make_parts(setting);
  // A loss of each rank's own; the losses add up.
  const auto loss_of = [](const torch::Tensor& mean, const torch::Tensor& variance, size_t rank) {
    return ((static_cast<double>(rank) + 1) * mean.square() + variance.pow(1.5)).sum();
  };
  testing::run_ranks(static_cast<int>(parts.size()), [&](const auto& group, const auto&) {
    const auto rank = static_cast<size_t>(group->rank());
    const auto found = synchronised_statistics(parts[rank].x, statistics_over(group));
    EXPECT_TRUE(torch::equal(found.count, torch::scalar_tensor(133, torch::kDouble)));
    loss_of(found.mean, found.variance, rank).backward();
  });
  const torch::Tensor x = all_of(parts, &Part::x).requires_grad_();
  const torch::Tensor mean = x.mean({0, 2, 3}), variance = x.var({0, 2, 3}, false);
  torch::Tensor loss = torch::zeros({}, torch::kDouble);
  std::vector<torch::Tensor> gradients;
  for (size_t i = 0; i < parts.size(); ++i) {
    loss = loss + loss_of(mean, variance, i);
    gradients.push_back(pixels_of(parts[i].x.grad()));
  }
  loss.backward();
  expect_near(torch::cat(gradients, 3), x.grad(), setting.tolerance, "gradient");
}

}  // namespace
}  // namespace ssdq
