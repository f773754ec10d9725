#include "ssdq/utils/glob.h"

#include <gtest/gtest.h>

namespace ssdq {
namespace {

TEST(GlobMatches, StarsTakeAnyLettersAndQuestionMarksOne) {
  EXPECT_TRUE(glob_matches("head.*.0", "head.cls.0"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("a*b*c", "aXbbYbc"));
  EXPECT_TRUE(glob_matches("backbone.1?", "backbone.12"));
  EXPECT_FALSE(glob_matches("backbone.1?", "backbone.1"));
  EXPECT_FALSE(glob_matches("backbone.1", "backbone.12"));
  EXPECT_FALSE(glob_matches("head.cls", "head-cls"));
  EXPECT_FALSE(glob_matches("a*bc", "abcb"));
}

}  // namespace
}  // namespace ssdq
