#include "ssdq/data/sampler.h"

#include <set>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

TEST(ShuffledSampler, EachEpochIsAnotherPermutation) {
  ShuffledSampler sampler(20, 3, 20);
  std::vector<std::vector<int64_t>> epochs(2);
  for (int64_t i = 0; i < 40; ++i) {
    epochs[i / 20].push_back(sampler.index(i));
  }
  EXPECT_EQ(std::set<int64_t>(epochs[0].begin(), epochs[0].end()).size(), 20U);
  EXPECT_EQ(std::set<int64_t>(epochs[1].begin(), epochs[1].end()).size(), 20U);
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(ShuffledSampler, PositionsNeedNoHistory) {
  ShuffledSampler walked(7, 5, 9);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < 50; ++i) {
    order.push_back(walked.index(i));
  }
  ShuffledSampler fresh(7, 5, 9);
  for (int64_t i = 49; i >= 0; --i) {
    EXPECT_EQ(fresh.index(i), order[i]);
  }
}

TEST(ShuffledSampler, RefusesAnEmptyDataSet) { EXPECT_THROW(ShuffledSampler(0, 1, 0), Error); }

std::vector<int64_t> epoch_of(int64_t number, int64_t size, int64_t batch, EpochEnd end) {
  const int64_t length = epoch_length(size, batch, end);
  ShuffledSampler sampler(size, /*seed=*/5, length);
  std::vector<int64_t> images;
  for (int64_t i = number * length; i < (number + 1) * length; ++i) {
    images.push_back(sampler.index(i));
  }
  return images;
}

TEST(EpochEnds, DropLeavesOutAndPadRepeatsWhatDoesNotFillABatch) {
  for (const int64_t size : {8, 9, 15, 17}) {
    for (const int64_t number : {0, 1, 5}) {
      const auto whole = epoch_of(number, size, 8, EpochEnd::kContinue);
      const auto dropped = epoch_of(number, size, 8, EpochEnd::kDrop);
      const auto padded = epoch_of(number, size, 8, EpochEnd::kPad);
      EXPECT_EQ(dropped, std::vector<int64_t>(whole.begin(), whole.begin() + size / 8 * 8));
      ASSERT_EQ(padded.size(), static_cast<size_t>((size + 7) / 8 * 8));
      for (size_t i = 0; i < padded.size(); ++i) {
        EXPECT_EQ(padded[i], whole[i % whole.size()]) << size << " images";
      }
    }
  }
}

TEST(EpochEnds, APaddedBatchMayRepeatTheDataSetSeveralTimes) {
  const auto padded = epoch_of(2, 3, 8, EpochEnd::kPad);
  ASSERT_EQ(padded.size(), 8U);
  for (size_t i = 0; i < padded.size(); ++i) {
    EXPECT_EQ(padded[i], padded[i % 3]);
  }
}

TEST(EpochEnds, RefuseToDropEverythingAndUnknownNames) {
  EXPECT_THROW(epoch_length(7, 8, EpochEnd::kDrop), ConfigError);
  EXPECT_EQ(epoch_length(8, 8, EpochEnd::kDrop), 8);
  EXPECT_EQ(parse_epoch_end("drop"), EpochEnd::kDrop);
  EXPECT_EQ(parse_epoch_end("pad"), EpochEnd::kPad);
  EXPECT_THROW(parse_epoch_end("last"), ConfigError);
}

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
