#include "ssdq/graph/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Graph one_level() {
  return parse_cfg("[convolutional]\nfilters=8\nsize=1\nfeature=linear\nfeature_idx=0\n", "x.cfg",
                   {10, 20});
}

TEST(CheckFeatures, AcceptsWhatFitsAndWhatIsLeftOut) {
  EXPECT_NO_THROW(check_features(one_level(), {8}, {{10, 20}}, {{"MODEL.PRIORS.STRIDES", 1}}));
  EXPECT_NO_THROW(check_features(one_level(), {}, {}));
}

TEST(CheckFeatures, GivesBothNumbersForEachMismatch) {
  EXPECT_THAT(
      [] {
        check_features(one_level(), {16}, {{10, 10}});
      },
      testing::ThrowsMessage<ConfigError>(
          "x.cfg:1: backbone.0: level 0 has 8 channels, but MODEL.BACKBONE.OUT_CHANNELS "
          "says 16\n"
          "x.cfg:1: backbone.0: level 0 is a 10x20 map, but MODEL.PRIORS.FEATURE_MAPS says "
          "10x10"));
  EXPECT_THAT(
      [] {
        check_features(one_level(), {8, 8}, {}, {{"MODEL.PRIORS.STRIDES", 6}});
      },
      testing::ThrowsMessage<ConfigError>(
          "MODEL.BACKBONE.OUT_CHANNELS has 2 entries, but the backbone has 1 features\n"
          "MODEL.PRIORS.STRIDES has 6 entries, but the backbone has 1 features"));
}

}  // namespace
}  // namespace ssdq
