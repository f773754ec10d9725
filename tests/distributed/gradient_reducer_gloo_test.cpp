#include <cmath>
#include <string>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/distributed/gradient_reducer.h"
#include "tests/distributed/ranks.h"

namespace ssdq {
namespace {

// Over sockets: the calls are under way while the backward pass goes on.
TEST(GradientReducerOverGloo, SumsGradientsOfManyBuckets) {
  constexpr int kRanks = 4, kLayers = 12;
  for (const bool bfloat16 : {false, true}) {
    const auto errors = run_ranks(kRanks, [&](ProcessGroup& group) {
      GradientReducer::NamedParameters parameters;
      for (int i = 0; i < kLayers; ++i) {
        parameters.emplace_back(std::to_string(i),
                                torch::full({64, 64}, 0.1 * i, torch::requires_grad()));
      }
      GradientReducer reducer(parameters, group, {40000, bfloat16});
      EXPECT_GT(reducer.num_buckets(), 2U);
      const auto weight = [](int rank, int layer) { return std::cos(3.0 * rank + layer); };
      for (int step = 0; step < 5; ++step) {
        torch::Tensor loss = torch::zeros({});
        for (int i = 0; i < kLayers; ++i) {
          // Another order on each rank.
          const int layer = (i * 5 + group.rank()) % kLayers;
          torch::Tensor p = parameters[static_cast<size_t>(layer)].second;
          p.mutable_grad() = torch::Tensor();
          loss = loss + weight(group.rank(), layer) * p.sum();
        }
        loss.backward();
        reducer.finish();
      }
      for (int layer = 0; layer < kLayers; ++layer) {
        double sum = 0;
        for (int rank = 0; rank < kRanks; ++rank) {
          sum += weight(rank, layer);
        }
        const torch::Tensor gradient = parameters[static_cast<size_t>(layer)].second.grad();
        EXPECT_LE((gradient - sum).abs().max().item<double>(),
                  bfloat16 ? kRanks * kRanks / 256.0 : 1e-5);
      }
      EXPECT_GE(reducer.statistics().communicating, reducer.statistics().waiting);
    });
    for (const auto& error : errors) {
      EXPECT_EQ(error, "");
    }
  }
}

}  // namespace
}  // namespace ssdq
