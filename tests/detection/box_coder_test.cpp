#include "ssdq/detection/box_coder.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace ssdq {
namespace {

TEST(BoxCoder, DecodeUndoesEncode) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> place(0, 1);
  std::uniform_real_distribution<float> size(0.01F, 1);
  for (int i = 0; i < 1000; ++i) {
    const CenterBox box{place(random), place(random), size(random), size(random)};
    const CenterBox prior{place(random), place(random), size(random), size(random)};
    const auto location = encode(box, prior, {});
    const CenterBox again = decode(location.data(), prior, {});
    EXPECT_NEAR(again.cx, box.cx, 1e-6);
    EXPECT_NEAR(again.cy, box.cy, 1e-6);
    EXPECT_NEAR(again.w / box.w, 1, 1e-5);
    EXPECT_NEAR(again.h / box.h, 1, 1e-5);
  }
}

TEST(BoxCoder, EncodesInUnitsOfVariances) {
  const CenterBox prior{0.5F, 0.5F, 0.2F, 0.4F};
  const CenterBox box{0.52F, 0.42F, 0.4F, 0.2F};
  const auto location = encode(box, prior, {0.1F, 0.2F});
  EXPECT_NEAR(location[0], 1.0, 1e-5);                  // 0.02 / 0.2 / 0.1
  EXPECT_NEAR(location[1], -2.0, 1e-5);                 // -0.08 / 0.4 / 0.1
  EXPECT_NEAR(location[2], std::log(2.0) / 0.2, 1e-5);  // ln(0.4 / 0.2) / 0.2
  EXPECT_NEAR(location[3], -std::log(2.0) / 0.2, 1e-5);
  const auto wide = encode(box, prior, {0.2F, 0.1F});
  EXPECT_NEAR(wide[0], 0.5, 1e-5);
  EXPECT_NEAR(wide[2], std::log(2.0) / 0.1, 1e-5);
}

TEST(BoxCoder, CornersAndCentresAgree) {
  const Box corners = to_corners({0.5F, 0.25F, 0.5F, 0.25F});
  EXPECT_EQ(corners, (Box{0.25F, 0.125F, 0.75F, 0.375F}));
  const CenterBox center = to_center(corners);
  EXPECT_FLOAT_EQ(center.cx, 0.5F);
  EXPECT_FLOAT_EQ(center.cy, 0.25F);
  EXPECT_FLOAT_EQ(center.w, 0.5F);
  EXPECT_FLOAT_EQ(center.h, 0.25F);
}

}  // namespace
}  // namespace ssdq
