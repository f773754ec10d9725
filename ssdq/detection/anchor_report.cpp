#include "ssdq/detection/anchor_report.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ssdq/detection/priors.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using nlohmann::ordered_json;

std::string row_text(const CoverageRow& before, const CoverageRow* after, const std::string& note) {
  std::string text = fmt::format("{:<9}{:>9}{:>10.4f}{:>9.4f}", before.name, before.boxes,
                                 before.mean_iou, before.recall);
  if (after != nullptr) {
    text += fmt::format("{:>12}{:>10.4f}{:>9.4f}", after->boxes, after->mean_iou, after->recall);
  }
  return text + (note.empty() ? "" : "  " + note) + "\n";
}

std::string coverage_text(const AnchorReport& report) {
  const Coverage& before = report.suggestion.current;
  const Coverage* after = report.suggestion.better ? &report.suggestion.suggested : nullptr;
  const auto of = [&](const CoverageRow& row) { return after != nullptr ? &row : nullptr; };
  std::string text = fmt::format("{:<9}{:>28}", "", "current  ");
  text += after != nullptr ? fmt::format("{:>31}\n", "suggested  ") : "\n";
  text += fmt::format("{:<9}{:>9}{:>10}{:>9}", "boxes", "number", "best IoU", "recall");
  text +=
      after != nullptr ? fmt::format("{:>12}{:>10}{:>9}\n", "number", "best IoU", "recall") : "\n";
  const Coverage& other = report.suggestion.suggested;
  text += row_text(before.all, of(other.all), "");
  const char* kAreas[] = {"below 32 x 32 px", "below 96 x 96 px", ""};
  for (size_t i = 0; i < before.by_size.size(); ++i) {
    text += row_text(before.by_size[i], of(other.by_size[i]), kAreas[i]);
  }
  for (size_t k = 0; k < before.by_level.size(); ++k) {
    text += row_text(before.by_level[k], of(other.by_level[k]),
                     fmt::format("{} x {} locations", report.maps[k].height, report.maps[k].width));
  }
  const auto missed = [](const Coverage& coverage) {
    return fmt::format(
        "{} ({:.2f} %)", coverage.missed,
        100.0 * static_cast<double>(coverage.missed) / static_cast<double>(coverage.all.boxes));
  };
  text += "boxes without a default box of IoU 0.5: " + missed(before);
  return text + (after != nullptr ? ", suggested: " + missed(*after) : "") + "\n";
}

std::string clusters_text(const ShapeClusters& clusters) {
  const auto total = std::accumulate(clusters.members.begin(), clusters.members.end(), int64_t{0});
  std::string text = fmt::format(
      "{} clusters of shapes, mean IoU of a box with its centre {:.4f}; width x height (share):\n",
      clusters.centers.size(), clusters.mean_iou);
  for (size_t i = 0; i < clusters.centers.size(); ++i) {
    const std::string entry = fmt::format(
        "{:.0f}x{:.0f} ({:.1f}%)", clusters.centers[i].width, clusters.centers[i].height,
        100.0 * static_cast<double>(clusters.members[i]) / static_cast<double>(total));
    const bool last = i + 1 == clusters.centers.size();
    text += fmt::format("{:<18}{}", entry, (i % 5 == 4 || last) ? "\n" : "");
  }
  return text;
}

std::string full_text(const AnchorReport& report) {
  std::string text =
      fmt::format("{}: {} boxes, resized to {} x {} (height x width); {} default boxes\n",
                  report.dataset, report.suggestion.current.all.boxes, report.image_size.height,
                  report.image_size.width, report.num_priors);
  if (report.left_out > 0) {
    text += fmt::format("left out, without area: {}\n", report.left_out);
  }
  text += "\n" + coverage_text(report) + "\n" + clusters_text(report.clusters) + "\n";
  if (!report.suggestion.better) {
    return text + "no sizes with a larger mean best IoU were found: keep the current ones\n";
  }
  return text + "suggested sizes, found on these boxes:\n" + priors_yaml(report.suggestion.priors);
}

std::string without_trailing_blanks(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') result.erase(result.find_last_not_of(' ') + 1);
    result += c;
  }
  return result;
}

ordered_json to_json(const CoverageRow& row) {
  return {{"name", row.name},
          {"boxes", row.boxes},
          {"mean_best_iou", row.mean_iou},
          {"recall_50", row.recall}};
}

ordered_json to_json(const Coverage& coverage) {
  ordered_json json = to_json(coverage.all);
  json.erase("name");
  json["missed"] = coverage.missed;
  for (const CoverageRow& row : coverage.by_size) json["by_size"].push_back(to_json(row));
  for (const CoverageRow& row : coverage.by_level) json["by_level"].push_back(to_json(row));
  return json;
}

ordered_json to_json(const PriorsConfig& priors) {
  return {{"MIN_SIZES", priors.min_sizes},
          {"MAX_SIZES", priors.max_sizes},
          {"ASPECT_RATIOS", priors.aspect_ratios}};
}

}  // namespace

AnchorReport analyze_anchors(const PriorsConfig& priors, const std::vector<Size2>& maps,
                             Size2 image_size, const std::vector<Box>& boxes,
                             ClusterOptions options) {
  SSDQ_CHECK(!boxes.empty(), "there are no boxes to measure default boxes with");
  const std::vector<int> counts = boxes_per_location(priors);
  if (options.clusters == 0) {
    options.clusters =
        std::min(std::accumulate(counts.begin(), counts.end(), 0), static_cast<int>(boxes.size()));
  }
  AnchorReport report;
  report.image_size = image_size;
  report.maps = maps;
  report.num_priors = static_cast<int64_t>(make_priors(priors, maps, image_size).size());
  report.clusters = cluster_shapes(shapes_of(boxes), options);
  report.suggestion = suggest_priors(priors, maps, image_size, boxes, report.clusters);
  return report;
}

std::string to_text(const AnchorReport& report) {
  return without_trailing_blanks(full_text(report));
}

std::string to_json(const AnchorReport& report) {
  ordered_json json = {{"dataset", report.dataset},
                       {"image_size", {report.image_size.height, report.image_size.width}},
                       {"boxes_without_area", report.left_out},
                       {"default_boxes", report.num_priors},
                       {"current", to_json(report.suggestion.current)},
                       {"suggested", to_json(report.suggestion.suggested)},
                       {"better", report.suggestion.better},
                       {"priors", to_json(report.suggestion.priors)}};
  json["clusters"]["mean_iou"] = report.clusters.mean_iou;
  for (size_t i = 0; i < report.clusters.centers.size(); ++i) {
    json["clusters"]["centers"].push_back({{"width", report.clusters.centers[i].width},
                                           {"height", report.clusters.centers[i].height},
                                           {"boxes", report.clusters.members[i]}});
  }
  return json.dump(2) + "\n";
}

}  // namespace ssdq
