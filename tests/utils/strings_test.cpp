#include "ssdq/utils/strings.h"

#include <gmock/gmock.h>

namespace ssdq {
namespace {

using testing::ElementsAre;

TEST(Strings, SplitKeepsEmptyPartsAndJoinUndoesIt) {
  EXPECT_THAT(split("a..b.", '.'), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", '.'), ElementsAre(""));
  EXPECT_EQ(join(split("a..b.", '.'), "."), "a..b.");
}

TEST(Strings, TrimRemovesBlanksAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n "), "");
}

TEST(Strings, PrefixAndSuffixMayBeLongerThanTheText) {
  EXPECT_TRUE(starts_with("a.cfg", "a."));
  EXPECT_TRUE(ends_with("a.cfg", ".cfg"));
  EXPECT_FALSE(starts_with("a", "ab"));
  EXPECT_FALSE(ends_with("a", "ba"));
}

}  // namespace
}  // namespace ssdq
