#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ssdq/engine/sweep_report.h"
#include "ssdq/utils/error.h"
#include "ssdq/visualization/curves.h"

namespace ssdq {
namespace {

SweepReport small_report() {
  SweepReport report;
  report.config_file = "cells.yaml";
  report.weights = "cells.safetensors";
  report.scope = "all";
  report.importance = "bn";
  report.metric = "mAP";
  report.dataset = "cells_test";
  report.original.params = 2'000'000;
  report.original.macs = 800'000'000;
  report.original.weight_bytes = 8'000'000;
  report.original.compact = 0.875;
  SweepRow half = report.original;
  half.percent = 0.5;
  half.params = 500'000;
  half.macs = 200'000'000;
  half.weight_bytes = 2'000'000;
  half.masked = 0.5;
  half.compact = 0.62504;
  SweepRow more = half;
  more.percent = 0.625;
  more.params = 250'000;
  more.macs = 0;
  more.masked.reset();
  report.rows = {half, more};
  return report;
}

TEST(SweepReport, WritesALineForEachPercentage) {
  EXPECT_EQ(sweep_report_text(small_report(), TableStyle::kText),
            R"(cells.safetensors pruned: scope all, importance bn; mAP on cells_test.

removed  parameters (M)  cut %  MACs (M)  cut %  weights (MB)  masked  compact
nothing           2.000    0.0   800.000    0.0         8.000       -   0.8750
50 %              0.500   75.0   200.000   75.0         2.000  0.5000   0.6250
62.5 %            0.250   87.5     0.000  100.0         2.000       -   0.6250
)");
}

TEST(SweepReport, MarkdownHasTheSameNumbers) {
  SweepReport report = small_report();
  report.rows.pop_back();
  report.rows[0].milliseconds = 7.125;
  EXPECT_EQ(sweep_report_text(report, TableStyle::kMarkdown), R"(# Pruning by several percentages

cells.safetensors pruned: scope all, importance bn; mAP on cells_test.

| removed | parameters (M) | cut % | MACs (M) | cut % | weights (MB) |   ms | masked | compact |
|:--------|---------------:|------:|---------:|------:|-------------:|-----:|-------:|--------:|
| nothing |          2.000 |   0.0 |  800.000 |   0.0 |        8.000 |    - |      - |  0.8750 |
| 50 %    |          0.500 |  75.0 |  200.000 |  75.0 |        2.000 | 7.12 | 0.5000 |  0.6250 |
)");
}

TEST(SweepReport, JsonHoldsWhatWasMeasured) {
  const auto json = nlohmann::json::parse(sweep_report_json(small_report()));
  EXPECT_EQ(json.at("config"), "cells.yaml");
  EXPECT_EQ(json.at("weights"), "cells.safetensors");
  EXPECT_EQ(json.at("scope"), "all");
  EXPECT_EQ(json.at("importance"), "bn");
  EXPECT_EQ(json.at("metric"), "mAP");
  EXPECT_EQ(json.at("dataset"), "cells_test");
  EXPECT_EQ(json.at("original").at("params"), 2'000'000);
  EXPECT_EQ(json.at("original").at("macs_cut"), 0);
  ASSERT_EQ(json.at("rows").size(), 2U);
  const auto& half = json.at("rows").at(0);
  EXPECT_EQ(half.at("percent"), 0.5);
  EXPECT_EQ(half.at("macs"), 200'000'000);
  EXPECT_EQ(half.at("weight_bytes"), 2'000'000);
  EXPECT_EQ(half.at("params_cut"), 0.75);
  EXPECT_EQ(half.at("masked"), 0.5);
  EXPECT_EQ(half.at("compact"), 0.62504);
  EXPECT_FALSE(half.contains("compensated"));
  EXPECT_FALSE(half.contains("milliseconds"));
  EXPECT_FALSE(json.at("rows").at(1).contains("masked"));
}

TEST(SweepReport, ChartShowsMeasuredPointsOverTheirCost) {
  SweepReport report = small_report();
  const cv::Mat macs = sweep_chart(report);
  const auto colored = [&](const cv::Mat& image, std::size_t curve) {
    cv::Mat mask;
    cv::inRange(image, curve_color(curve), curve_color(curve), mask);
    return cv::countNonZero(mask);
  };
  EXPECT_GT(colored(macs, 0), 0);
  EXPECT_EQ(colored(macs, 1), 0);
  EXPECT_GT(colored(macs, 2), colored(macs, 0));
  EXPECT_GT(colored(macs, 4), 0);
  EXPECT_THROW(sweep_chart(report, SweepAxis::kMilliseconds), Error);
  report.rows[0].milliseconds = 5;
  EXPECT_NO_THROW(sweep_chart(report, SweepAxis::kMilliseconds));
  report.rows[0].compact = std::nan("");
  EXPECT_THROW(sweep_chart(report), Error);
}

}  // namespace
}  // namespace ssdq
