#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/distributed/broadcast_state.h"
#include "ssdq/distributed/gather_detections.h"
#include "ssdq/distributed/group_statistics.h"
#include "ssdq/quantization/range_quantizer.h"
#include "tests/distributed/thread_group.h"

namespace ssdq {
namespace {

using ::testing::HasSubstr;
using testing::run_ranks;

struct ModuleOfTypesImpl : torch::nn::Module {
  ModuleOfTypesImpl(int rank, int64_t width) {
    a = register_parameter("a", torch::full({3, width}, 1.5 + rank));
    b = register_buffer("b", torch::full({}, 7 + rank, torch::kLong));
    c = register_buffer("c", torch::full({5}, rank == 0, torch::kBool));
    d = register_buffer("d",
                        torch::full({2, 3}, 0.1 + rank, torch::kDouble).t());  // not contiguous
    e = register_parameter("e", torch::full({0}, 1.0));
  }
  torch::Tensor a, b, c, d, e;
};

TEST(BroadcastState, GivesEveryRankTheTensorsOfTheRoot) {
  for (const int root : {0, 2}) {
    run_ranks(3, [&](const auto& group, const auto&) {
      ModuleOfTypesImpl module(group->rank(), 4);
      const ModuleOfTypesImpl expected(root, 4);
      broadcast_state(*group, module, root);
      EXPECT_TRUE(torch::equal(module.a, expected.a));
      EXPECT_TRUE(torch::equal(module.b, expected.b));
      EXPECT_TRUE(torch::equal(module.c, expected.c));
      EXPECT_TRUE(torch::equal(module.d, expected.d));
    });
  }
}

TEST(BroadcastState, NamesTheTensorThatDiffers) {
  run_ranks(3, [&](const auto& group, const auto&) {
    ModuleOfTypesImpl module(0, group->rank() == 1 ? 5 : 4);
    try {
      broadcast_state(*group, module);
      ADD_FAILURE() << "no error on rank " << group->rank();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 1"));
      EXPECT_THAT(error.what(), HasSubstr("'a' [3 x 5] Float where that has 'a' [3 x 4] Float"));
    }
  });
}

TEST(GroupStatistics, GiveSumsAndMaximaOfTheRanks) {
  run_ranks(3, [&](const auto& group, const auto&) {
    const auto reducer = statistics_over(group);
    const int rank = group->rank();
    torch::Tensor x = torch::tensor({-1.0 - rank, 2.0 * rank});
    torch::Tensor y = x.clone();
    reducer->sum(x);
    reducer->max(y);
    EXPECT_TRUE(torch::equal(x, torch::tensor({-6.0, 6.0})));
    EXPECT_TRUE(torch::equal(y, torch::tensor({-1.0, 4.0})));
  });
}

void expect_near(const TensorMoments& found, const TensorMoments& expected) {
  EXPECT_TRUE(torch::equal(found.min, expected.min));
  EXPECT_TRUE(torch::equal(found.max, expected.max));
  EXPECT_TRUE(torch::allclose(found.mean, expected.mean, 1e-6));
  EXPECT_TRUE(torch::allclose(found.mean_abs, expected.mean_abs, 1e-6));
  EXPECT_TRUE(torch::allclose(found.rms, expected.rms, 1e-6));
  EXPECT_TRUE(torch::allclose(found.deviation, expected.deviation, 1e-6));
}

TEST(GroupStatistics, MomentsAreThoseOfTheRanksTensorsInOne) {
  const std::vector<int64_t> sizes = {100, 37, 1000};
  std::vector<torch::Tensor> parts;
  torch::manual_seed(3);
  for (const int64_t size : sizes) {
    parts.push_back(torch::randn({size}) * 3 + 1);
  }
  const TensorMoments expected = moments(torch::cat(parts), false);
  run_ranks(3, [&](const auto& group, const auto&) {
    const StatisticsScope scope(statistics_over(group), false);
    const TensorMoments found = batch_moments(parts[static_cast<size_t>(group->rank())], false);
    expect_near(found, expected);
  });
}

TEST(GroupStatistics, RangesFollowTheBatchOfAllRanks) {
  TensorSpec spec;
  std::vector<torch::Tensor> batches;
  torch::manual_seed(8);
  for (int step = 0; step < 3; ++step) {
    batches.push_back(torch::randn({4, 50}) * (step + 1));
  }
  RangeActivationQuantizerImpl alone(spec, {});
  for (const auto& batch : batches) {
    alone.forward(batch);
  }
  run_ranks(4, [&](const auto& group, const auto&) {
    RangeActivationQuantizerImpl quantizer(spec, {});
    for (const auto& batch : batches) {
      const StatisticsScope scope(statistics_over(group), true);
      quantizer.forward(batch[group->rank()]);
    }
    for (const auto& item : alone.named_buffers()) {
      EXPECT_TRUE(torch::equal(quantizer.named_buffers()[item.key()], item.value())) << item.key();
    }
  });
}

TEST(StatisticsScope, EndsWithItsBlockAndHoldsForItsThread) {
  run_ranks(1, [&](const auto& group, const auto&) {
    const auto reducer = statistics_over(group);
    {
      const StatisticsScope outer(reducer, true);
      EXPECT_EQ(batch_norm_statistics(), reducer);
      {
        const StatisticsScope inner(reducer, false);
        EXPECT_EQ(range_statistics(), reducer);
        EXPECT_EQ(batch_norm_statistics(), nullptr);
      }
      EXPECT_EQ(batch_norm_statistics(), reducer);
      std::thread([] { EXPECT_EQ(range_statistics(), nullptr); }).join();
    }
    EXPECT_EQ(range_statistics(), nullptr);
    EXPECT_EQ(ranks_of_batch(), 1);
  });
}

TEST(GatherDetections, GivesEveryRankAllImagesInOrder) {
  constexpr int64_t kImages = 7;
  run_ranks(3, [&](const auto& group, const auto&) {
    std::vector<IndexedDetections> own;
    for (int64_t i = kImages - 1; i >= 0; --i) {
      if (i % 3 == group->rank()) {
        own.push_back({i, Detections(static_cast<size_t>(i % 4), {{}, 0.5F, static_cast<int>(i)})});
      }
    }
    const auto all = gather_detections(*group, own, kImages);
    ASSERT_EQ(all.size(), 7U);
    for (int64_t i = 0; i < kImages; ++i) {
      const auto& image = all[static_cast<size_t>(i)];
      EXPECT_EQ(image.index, i);
      ASSERT_EQ(image.detections.size(), static_cast<size_t>(i % 4));
      for (const Detection& detection : image.detections) {
        EXPECT_EQ(detection.label, i);
      }
    }
  });
}

}  // namespace
}  // namespace ssdq
