#include "ssdq/utils/suggest.h"

#include <gtest/gtest.h>

namespace ssdq {
namespace {

TEST(Suggest, DistanceCountsEachKindOfSlipOnce) {
  EXPECT_EQ(edit_distance("WBITS", "WBIT"), 1);   // insertion
  EXPECT_EQ(edit_distance("WBITS", "ABITS"), 1);  // replacement
  EXPECT_EQ(edit_distance("WBTIS", "WBITS"), 1);  // neighbours swapped
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("", "abc"), 3);
}

TEST(Suggest, DistanceIgnoresCaseAndIsSymmetric) {
  EXPECT_EQ(edit_distance("IAO", "iao"), 0);
  EXPECT_EQ(edit_distance("dorefa", "lsq"), edit_distance("lsq", "dorefa"));
}

TEST(Suggest, NearestNameTakesTheNearerOfTwo) {
  EXPECT_EQ(nearest_name("TRIAN", {"TEST", "TRAIN"}), "TRAIN");
  EXPECT_EQ(nearest_name("WBITSS", {"ABITS", "WBITS"}), "WBITS");
}

TEST(Suggest, NamesFarFromAllGiveNothing) {
  EXPECT_EQ(nearest_name("xyz", {"dorefa", "bwn"}), std::nullopt);
  EXPECT_EQ(nearest_name("lr", {"ab"}), std::nullopt);
  EXPECT_EQ(nearest_name("a", {}), std::nullopt);
}

TEST(Suggest, MessageNamesTheNearestAndTheKnown) {
  EXPECT_EQ(suggestion("doreffa", {"bwn", "dorefa"}),
            "; did you mean 'dorefa'? (known: bwn, dorefa)");
  EXPECT_EQ(suggestion("q", {"bwn", "dorefa"}), " (known: bwn, dorefa)");
  EXPECT_EQ(suggestion("q", {}), " (none is known)");
}

}  // namespace
}  // namespace ssdq
