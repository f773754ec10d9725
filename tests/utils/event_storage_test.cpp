#include "ssdq/utils/event_storage.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace ssdq::testing {
namespace {

TEST(EventStorage, MedianAndMeanLookBackOverTheWindow) {
  EventStorage storage;
  for (int i = 1; i <= 25; ++i) {
    storage.put("loss", i);  // the last 20 are 6..25
  }
  EXPECT_EQ(storage.latest("loss"), 25);
  EXPECT_EQ(storage.median("loss"), 15.5);
  EXPECT_EQ(storage.mean("loss"), 15.5);
  storage.put("loss", 1000);  // 7..25 and 1000
  EXPECT_EQ(storage.median("loss"), 16.5);
  EXPECT_EQ(storage.mean("loss"), (16 * 19 + 1000) / 20.0);
}

TEST(EventStorage, OnlySmoothedScalarsAreDisplayedAsTheirMedian) {
  EventStorage storage;
  for (const double value : {1.0, 2.0, 9.0}) {
    storage.put("loss", value);
    storage.put("lr", value, false);
  }
  EXPECT_EQ(storage.displayed("loss"), 2);
  EXPECT_EQ(storage.displayed("lr"), 9);
  EXPECT_EQ(storage.displayed("unknown"), std::nullopt);
}

TEST(EventStorage, MedianOfNotANumberIsNotANumber) {
  EventStorage storage;
  storage.put("loss", 1);
  storage.put("loss", std::numeric_limits<double>::quiet_NaN());
  storage.put("loss", 2);
  EXPECT_TRUE(std::isnan(*storage.median("loss")));
}

TEST(EventStorage, MedianOfEqualInfinitiesIsInfinite) {
  EventStorage storage;
  storage.put("loss", std::numeric_limits<double>::infinity());
  storage.put("loss", std::numeric_limits<double>::infinity());
  EXPECT_EQ(storage.median("loss"), std::numeric_limits<double>::infinity());
}

TEST(EventStorage, SnapshotHoldsThisIterationOnly) {
  EventStorage storage;
  storage.set_iteration(1);
  storage.put("loss", 3);
  storage.put("mAP", 0.5);
  storage.set_iteration(2);
  storage.put("loss", 2);
  EXPECT_EQ(storage.snapshot(), (std::map<std::string, double>{{"loss", 2}}));
  EXPECT_EQ(storage.latest("mAP"), 0.5);
  EXPECT_EQ(storage.scalars().at("mAP").iteration, 1);
}

TEST(EventStorage, VersionTellsWhatIsNew) {
  EventStorage storage;
  storage.put("a", 1);
  const uint64_t seen = storage.version();
  storage.put("b", 1);
  storage.put_image("c", "png", 2, 1, "caption");
  EXPECT_LE(storage.scalars().at("a").version, seen);
  EXPECT_GT(storage.scalars().at("b").version, seen);
  EXPECT_GT(storage.images().at("c").version, seen);
  storage.clear_images();
  EXPECT_TRUE(storage.images().empty());
}

}  // namespace
}  // namespace ssdq::testing
