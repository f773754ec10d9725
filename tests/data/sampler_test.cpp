#include "ssdq/data/sampler.h"

#include <set>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

TEST(ShuffledSampler, EachEpochIsAnotherPermutation) {
  ShuffledSampler sampler(20, 3);
  std::vector<std::vector<int64_t>> epochs(2);
  for (int64_t i = 0; i < 40; ++i) {
    epochs[i / 20].push_back(sampler.index(i));
  }
  EXPECT_EQ(std::set<int64_t>(epochs[0].begin(), epochs[0].end()).size(), 20U);
  EXPECT_EQ(std::set<int64_t>(epochs[1].begin(), epochs[1].end()).size(), 20U);
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(ShuffledSampler, PositionsNeedNoHistory) {
  ShuffledSampler walked(7, 5);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < 50; ++i) {
    order.push_back(walked.index(i));
  }
  ShuffledSampler fresh(7, 5);
  for (int64_t i = 49; i >= 0; --i) {
    EXPECT_EQ(fresh.index(i), order[i]);
  }
}

TEST(ShuffledSampler, RefusesAnEmptyDataSet) { EXPECT_THROW(ShuffledSampler(0, 1), Error); }

TEST(GlobalPosition, RanksTogetherTakeEveryPositionOnce) {
  std::set<int64_t> seen;
  for (int rank = 0; rank < 3; ++rank) {
    for (int64_t iteration = 0; iteration < 5; ++iteration) {
      for (int item = 0; item < 4; ++item) {
        seen.insert(global_position(iteration, item, 4, rank, 3));
      }
    }
  }
  EXPECT_EQ(seen.size(), 60U);
  EXPECT_EQ(*seen.rbegin(), 59);
}

}  // namespace
}  // namespace ssdq
