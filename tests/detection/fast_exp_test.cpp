#include "ssdq/detection/fast_exp.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace ssdq {
namespace {

TEST(FastExp, StaysWithinTwoUnitsInTheLastPlace) {
  double worst = 0;
  for (float x = -87.0F; x <= 0; x += 1.0F / 8192) {
    const double exact = std::exp(static_cast<double>(x));
    const auto rounded = static_cast<float>(exact);
    const double unit = std::nextafter(rounded, 2.0F) - rounded;
    worst = std::max(worst, std::abs(fast_exp(x) - exact) / unit);
  }
  EXPECT_LE(worst, 2.0);
}

TEST(FastExp, IsExactAtZeroAndDefinedAtTheEnds) {
  EXPECT_EQ(fast_exp(0.0F), 1.0F);
  EXPECT_EQ(fast_exp(-0.0F), 1.0F);
  EXPECT_EQ(fast_exp(-87.5F), 0.0F);
  EXPECT_EQ(fast_exp(-1e30F), 0.0F);
  EXPECT_EQ(fast_exp(-std::numeric_limits<float>::infinity()), 0.0F);
  EXPECT_TRUE(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace ssdq
