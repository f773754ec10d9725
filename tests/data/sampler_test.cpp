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

TEST(GlobalPosition, AGlobalBatchIsTheSameForAnyNumberOfRanks) {
  constexpr int kBatch = 24;
  for (const int ranks : {1, 2, 3, 4, 8, 24}) {
    for (const int64_t iteration : {int64_t{0}, int64_t{1}, int64_t{1} << 40}) {
      int64_t expected = iteration * kBatch;
      for (int rank = 0; rank < ranks; ++rank) {
        for (int item = 0; item < kBatch / ranks; ++item) {
          EXPECT_EQ(global_position(iteration, item, kBatch / ranks, rank, ranks), expected++);
        }
      }
    }
  }
}

TEST(Shards, HoldEachImageOnceAndDifferByOneAtMost) {
  for (const int64_t size : {0, 1, 2, 7, 12, 101}) {
    for (const int ranks : {1, 2, 3, 5, 12, 64}) {
      std::vector<int> times(static_cast<size_t>(size));
      for (int rank = 0; rank < ranks; ++rank) {
        const int64_t own = shard_size(size, rank, ranks);
        EXPECT_GE(own, size / ranks);
        EXPECT_LE(own, size / ranks + 1);
        for (int64_t item = 0; item < own; ++item) {
          ++times.at(static_cast<size_t>(shard_index(item, rank, ranks)));
        }
      }
      EXPECT_EQ(times, std::vector<int>(times.size(), 1)) << size << " images, " << ranks;
    }
  }
}

}  // namespace
}  // namespace ssdq
