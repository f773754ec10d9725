#include "ssdq/utils/progress.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "ssdq/utils/memory.h"

namespace ssdq::testing {
namespace {

TEST(Progress, DurationsReadAsClockTimes) {
  EXPECT_EQ(format_duration(0), "0:00:00");
  EXPECT_EQ(format_duration(59.6), "0:01:00");
  EXPECT_EQ(format_duration(723), "0:12:03");
  EXPECT_EQ(format_duration(86399), "23:59:59");
  EXPECT_EQ(format_duration(2 * 86400 + 3 * 3600 + 4 * 60 + 5), "2d 03:04:05");
  EXPECT_EQ(format_duration(-1), "-");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::quiet_NaN()), "-");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "-");
}

TEST(Progress, RatesHaveShortExponents) {
  EXPECT_EQ(format_rate(1e-3), "1.0e-3");
  EXPECT_EQ(format_rate(1.0 / 3), "3.3e-1");
  EXPECT_EQ(format_rate(1), "1.0e+0");
  EXPECT_EQ(format_rate(2.5e-10), "2.5e-10");
  EXPECT_EQ(format_rate(1e-100), "1.0e-100");
  EXPECT_EQ(format_rate(0), "0");
}

TEST(Progress, BarFillsFromEmptyToFull) {
  EXPECT_EQ(progress_bar(0, 10, 5), "[>    ]");
  EXPECT_EQ(progress_bar(5, 10, 4), "[==> ]");
  EXPECT_EQ(progress_bar(10, 10, 4), "[====]");
  EXPECT_EQ(progress_bar(11, 10, 4), "[====]");
  EXPECT_EQ(progress_bar(0, 0, 4), "[====]");
}

TEST(Memory, PeakCoversWhatWasTouched) {
  const std::vector<char> block(64U << 20, 1);
  EXPECT_GT(peak_rss_mb(), 64);
  EXPECT_EQ(block.back(), 1);
}

}  // namespace
}  // namespace ssdq::testing
