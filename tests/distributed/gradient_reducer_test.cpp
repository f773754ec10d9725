#include "ssdq/distributed/gradient_reducer.h"

#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "tests/distributed/thread_group.h"

namespace ssdq {
namespace {

using ::testing::HasSubstr;
using testing::run_ranks;

// Parameters of several shapes and two types.
GradientReducer::NamedParameters make_parameters() {
  GradientReducer::NamedParameters parameters;
  const std::vector<std::vector<int64_t>> shapes = {{5, 3}, {}, {7}, {2, 3, 4}, {40}, {6}};
  for (size_t i = 0; i < shapes.size(); ++i) {
    const auto type = i % 3 == 2 ? torch::kDouble : torch::kFloat;
    parameters.emplace_back("p" + std::to_string(i),
                            torch::zeros(shapes[i], torch::dtype(type).requires_grad(true)));
  }
  return parameters;
}

// What a rank's loss gives parameter i as its gradient.
torch::Tensor gradient_of(size_t i, int rank, const torch::Tensor& like) {
  return torch::linspace(-1, 1, like.numel(), torch::kDouble)
      .mul(std::sin(static_cast<double>(i) + 1.7 * rank))
      .add(0.37 * (rank + 1))
      .view(like.sizes())
      .to(like.scalar_type());
}

using Order = std::vector<size_t>;  // the parameters that the loss depends on

void backward(const GradientReducer::NamedParameters& parameters, int rank, const Order& order) {
  torch::Tensor loss = torch::zeros({}, torch::kDouble);
  for (const size_t i : order) {
    const torch::Tensor& p = parameters[i].second;
    loss = loss + (p * gradient_of(i, rank, p)).sum().to(torch::kDouble);
  }
  loss.backward();
}

const Order kAll = {0, 1, 2, 3, 4, 5};

TEST(GradientReducer, SumsGradientsOfAllRanksStepAfterStep) {
  for (const int64_t bucket_bytes : {1, 100, 1 << 20}) {
    run_ranks(3, [&](const auto& group, const auto&) {
      const auto parameters = make_parameters();
      GradientReducer reducer(parameters, *group, {bucket_bytes});
      EXPECT_EQ(reducer.num_buckets(), bucket_bytes == 1 ? 6U : bucket_bytes == 100 ? 5U : 2U);
      for (int step = 0; step < 3; ++step) {
        for (const auto& [name, p] : parameters) {
          p.mutable_grad() = torch::Tensor();
        }
        backward(parameters, group->rank() + step, kAll);
        reducer.finish();
        for (size_t i = 0; i < parameters.size(); ++i) {
          const torch::Tensor& p = parameters[i].second;
          torch::Tensor expected = torch::zeros_like(p);
          for (int rank = 0; rank < 3; ++rank) {
            expected = expected + gradient_of(i, rank + step, p);
          }
          EXPECT_TRUE(torch::allclose(p.grad(), expected)) << parameters[i].first;
        }
      }
    });
  }
}

TEST(GradientReducer, TakesWhatOneRankDoesNotUseAsZeroAndLeavesAloneWhatNoneDoes) {
  run_ranks(2, [&](const auto& group, const auto&) {
    const auto parameters = make_parameters();
    GradientReducer reducer(parameters, *group, {100});
    // First all, so that values of an earlier step lie in the buckets.
    for (const bool all : {true, false}) {
      for (const auto& [name, p] : parameters) {
        p.mutable_grad() = torch::Tensor();
      }
      backward(parameters, group->rank(),
               all                  ? kAll
               : group->rank() == 0 ? Order{0, 2, 3}
                                    : Order{2, 5});
      reducer.finish();
    }
    for (const size_t i : {size_t{1}, size_t{4}}) {
      EXPECT_FALSE(parameters[i].second.grad().defined());
    }
    for (const size_t i : {size_t{0}, size_t{3}}) {
      const torch::Tensor& p = parameters[i].second;
      EXPECT_TRUE(torch::equal(p.grad(), gradient_of(i, 0, p)));
    }
    EXPECT_TRUE(torch::equal(parameters[5].second.grad(), gradient_of(5, 1, parameters[5].second)));
  });
}

TEST(GradientReducer, CallsComeInOneOrderWhateverTheOrderOfGradients) {
  const std::vector<Order> orders = {
      {0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {3, 0, 5, 1, 4, 2}, {2, 5, 0}};
  run_ranks(4, [&](const auto& group, const auto&) {
    const auto parameters = make_parameters();
    GradientReducer reducer(parameters, *group, {1});
    for (size_t step = 0; step < 8; ++step) {
      const auto shift = static_cast<size_t>(group->rank()) + step;
      backward(parameters, 0, orders[shift % orders.size()]);
      reducer.finish();
    }
  });
}

TEST(GradientReducer, RefusesASecondBackwardPassBeforeFinish) {
  run_ranks(1, [&](const auto& group, const auto&) {
    const auto parameters = make_parameters();
    GradientReducer reducer(parameters, *group, {1 << 20});
    backward(parameters, 0, {1, 3});
    try {
      backward(parameters, 0, {3});
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("'p3' came a second time"));
    }
  });
}

TEST(GradientReducer, Bfloat16HalvesTheBytesWithinItsErrorBound) {
  constexpr int kRanks = 4;
  run_ranks(kRanks, [&](const auto& group, const auto&) {
    GradientReducer::NamedParameters parameters{
        {"p", torch::zeros({4096}, torch::requires_grad())}};
    GradientReducer exact(parameters, *group, {1 << 20, false});
    const int64_t bytes = exact.bytes_per_step();
    GradientReducer reducer(parameters, *group, {1 << 20, true});
    EXPECT_EQ(2 * reducer.bytes_per_step(), bytes);
    const auto gradient = [](int rank) {
      return torch::sin(torch::arange(4096, torch::kFloat) * (1.0 + rank)) * (1 + rank);
    };
    const torch::Tensor& p = parameters[0].second;
    (p * gradient(group->rank())).sum().backward();
    reducer.finish();
    torch::Tensor sum = torch::zeros({4096}), magnitudes = torch::zeros({4096});
    for (int rank = 0; rank < kRanks; ++rank) {
      sum += gradient(rank);
      magnitudes += gradient(rank).abs();
    }
    EXPECT_EQ(p.grad().scalar_type(), torch::kFloat);
    EXPECT_TRUE(((p.grad() - sum).abs() <= kRanks / 256.0 * magnitudes).all().item<bool>());
    EXPECT_GT((p.grad() - sum).abs().max().item<double>(), 0);
    EXPECT_EQ(reducer.statistics().bytes, reducer.bytes_per_step());
    exact.finish();
  });
}

TEST(GradientReducer, LeavesNoHooksBehind) {
  run_ranks(1, [&](const auto& group, const auto&) {
    const auto parameters = make_parameters();
    { const GradientReducer reducer(parameters, *group, {100}); }
    backward(parameters, 0, kAll);
    backward(parameters, 0, kAll);
  });
}

}  // namespace
}  // namespace ssdq
