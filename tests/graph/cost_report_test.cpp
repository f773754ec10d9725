#include "ssdq/graph/cost_report.h"

#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ssdq/graph/cfg_file.h"

namespace ssdq {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

ModelCost model(const std::string& name, const std::string& cfg, const WidthPlan& widths = {}) {
  return {name, cost(parse_cfg(cfg, "x.cfg", {8, 8}), widths), {}};
}

const char* const kSmall =
    "[convolutional]\nfilters=4\nsize=3\npad=1\n[convolutional]\nfilters=2\nsize=1\nfeature="
    "linear\n"
    "feature_idx=0\n";
const char* const kLarge =
    "[convolutional]\nfilters=8\nsize=3\npad=1\n[convolutional]\nfilters=2\nsize=1\n"
    "[convolutional]\nfilters=2\nsize=1\nfeature=linear\nfeature_idx=0\n";

TEST(TextTable, AlignsAndEscapes) {
  const std::vector<std::vector<std::string>> rows{{"name", "n"}, {"a|b", "12"}, {"c", "3"}};
  EXPECT_EQ(text_table(rows, 1, TableStyle::kText), "name   n\na|b   12\nc      3\n");
  EXPECT_EQ(text_table(rows, 1, TableStyle::kMarkdown),
            "| name |  n |\n|:-----|---:|\n| a\\|b | 12 |\n| c    |  3 |\n");
}

TEST(CostReport, HasARowForEachNodeAndTheTotals) {
  auto one = model("small", kSmall, {{"backbone.0", {4, 8}}});
  one.node_ms = {0, 1.5, 0.25};
  const std::string text = cost_report(one, TableStyle::kText);
  EXPECT_THAT(text, ContainsRegex("backbone.0 +conv +4x8x8 +4 +8 +112 "));
  EXPECT_THAT(text, ContainsRegex("backbone.1 +conv +2x8x8 +float +float +10 "));
  EXPECT_THAT(text, ContainsRegex("total +122 .* 1.750"));
  EXPECT_THAT(text, HasSubstr("peak activations: 1.5 KiB, at backbone.1"));
}

TEST(CostReport, MarkdownTablesHaveTheSameColumnsInEachLine) {
  const std::string text =
      comparison_report(model("a", kSmall), model("b", kLarge), TableStyle::kMarkdown);
  std::istringstream lines(text);
  std::string line;
  std::ptrdiff_t columns = 0;
  std::size_t width = 0;
  int tables = 0;
  while (std::getline(lines, line)) {
    const bool in_table = !line.empty() && line[0] == '|';
    if (!in_table) {
      columns = 0;
      continue;
    }
    const auto bars = std::count(line.begin(), line.end(), '|');
    if (columns == 0) {
      columns = bars;
      width = line.size();
      ++tables;
    }
    EXPECT_EQ(bars, columns) << line;
    EXPECT_EQ(line.size(), width) << line;
  }
  EXPECT_EQ(tables, 2);
}

TEST(CostReport, ComparesByNameAndGivesRatios) {
  const auto before = model("a", kSmall), after = model("b", kLarge);
  const std::string text = comparison_report(before, after, TableStyle::kText);
  EXPECT_THAT(text, ContainsRegex("parameters +122 +248 +2.0328"));
  EXPECT_THAT(text, ContainsRegex("backbone.0 +4x8x8 +8x8x8 +112 +224 .* 2.0000"));
  EXPECT_THAT(text, ContainsRegex("backbone.2 +- +2x8x8 +0 +6 .* new"));
  EXPECT_THAT(comparison_report(before, before, TableStyle::kText),
              HasSubstr("all nodes cost the same"));
}

TEST(CostReport, JsonHoldsWholeNumbersThatAddUp) {
  const auto one = model("quoted \"name\"", kLarge, {{"backbone.1", {8, 8}}});
  const auto json = nlohmann::json::parse(cost_json(one));
  EXPECT_EQ(json["name"], "quoted \"name\"");
  std::int64_t macs = 0, bytes = 0, peak = 0;
  for (const auto& node : json["nodes"]) {
    macs += node["macs"].get<std::int64_t>();
    bytes += node["weight_bytes"].get<std::int64_t>();
    peak = std::max(peak, node["live_bytes"].get<std::int64_t>());
  }
  EXPECT_TRUE(json["macs"].is_number_integer());
  EXPECT_EQ(json["macs"], macs);
  EXPECT_EQ(json["weight_bytes"], bytes);
  EXPECT_EQ(json["peak_activation_bytes"], peak);
  const auto other = model("b", kSmall);
  const auto both = nlohmann::json::parse(cost_json(one, &other));
  EXPECT_EQ(both["before"], json);
  EXPECT_EQ(both["after"]["params"], 122);
}

}  // namespace
}  // namespace ssdq
