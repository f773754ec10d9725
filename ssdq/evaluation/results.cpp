#include "ssdq/evaluation/results.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using NamedValues = std::vector<std::pair<std::string, double>>;

std::string cell(double value) { return std::isnan(value) ? "-" : fmt::format("{:.4f}", value); }

size_t name_width(const NamedValues& values, size_t least) {
  for (const auto& [name, value] : values) {
    least = std::max(least, name.size());
  }
  return least;
}

std::string rule(size_t columns, size_t name_width, char line) {
  std::string text = "+";
  for (size_t i = 0; i < columns; ++i) {
    text += std::string(name_width + 2, line) + "+" + std::string(9, line) + "+";
  }
  return text + "\n";
}

// Rows of name and value side by side, filled column by column.
std::string grid(const NamedValues& values, size_t columns, size_t name_width) {
  const size_t rows = (values.size() + columns - 1) / columns;
  std::string text;
  for (size_t row = 0; row < rows; ++row) {
    text += "|";
    for (size_t column = 0; column < columns; ++column) {
      const size_t i = column * rows + row;
      const bool there = i < values.size();
      text += fmt::format(" {:<{}} | {:>7} |", there ? values[i].first : "", name_width,
                          there ? cell(values[i].second) : "");
    }
    text += "\n";
  }
  return text;
}

nlohmann::ordered_json to_object(const NamedValues& values) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [name, value] : values) {
    object[name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nullptr;
  }
  return object;
}

// Writes beside the target first, so that a failure leaves no half file.
void write_file(const std::string& path, const std::string& text) {
  const std::string part = path + ".part";
  errno = 0;
  std::ofstream stream(part, std::ios::binary | std::ios::trunc);
  stream << text;
  stream.close();
  const std::string reason = std::strerror(errno);
  std::error_code error;
  if (!stream) {
    std::filesystem::remove(part, error);
    fail("{}: cannot be written: {}", path, reason);
  }
  std::filesystem::rename(part, path, error);
  SSDQ_CHECK(!error, "{}: cannot be written: {}", path, error.message());
}

int64_t to_number(const std::string& image_id) {
  int64_t number = 0;
  const char* end = image_id.data() + image_id.size();
  const auto [stop, error] = std::from_chars(image_id.data(), end, number);
  SSDQ_CHECK(error == std::errc() && stop == end,
             "COCO results need image ids that are numbers, got '{}'", image_id);
  return number;
}

void check_label(const Detection& detection, size_t num_classes, const std::string& image_id) {
  SSDQ_CHECK(detection.label >= 1 && detection.label <= static_cast<int>(num_classes),
             "a detection of image '{}' has label {}, expected 1..{}", image_id, detection.label,
             num_classes);
}

}  // namespace

std::string to_text(const MetricTable& table) {
  const size_t num_classes = table.per_class.size();
  const size_t columns = num_classes <= 25 ? 1 : num_classes <= 50 ? 2 : 3;
  const size_t width = name_width(table.per_class, name_width(table.metrics, 5));
  std::string text = table.title + "\n";
  if (num_classes > 0) {
    text += rule(columns, width, '-') + "|";
    for (size_t i = 0; i < columns; ++i) {
      text += fmt::format(" {:<{}} | {:>7} |", "class", width, "AP");
    }
    text += "\n" + rule(columns, width, '=') + grid(table.per_class, columns, width);
  }
  return text + rule(columns, width, '-') + grid(table.metrics, columns, width) +
         rule(columns, width, '-');
}

std::string to_json(const MetricTable& table) {
  nlohmann::ordered_json json;
  json["title"] = table.title;
  json["metrics"] = to_object(table.metrics);
  json["per_class"] = to_object(table.per_class);
  return json.dump();
}

std::vector<std::string> check_expected(const MetricTable& table,
                                        const std::map<std::string, double>& least) {
  std::vector<std::string> problems;
  for (const auto& expected : least) {
    const std::string& name = expected.first;
    const double value = expected.second;
    const auto found = std::find_if(table.metrics.begin(), table.metrics.end(),
                                    [&](const auto& metric) { return metric.first == name; });
    if (found == table.metrics.end()) {
      std::vector<std::string> known;
      for (const auto& metric : table.metrics) {
        known.push_back(metric.first);
      }
      problems.push_back(
          fmt::format("{} was expected to be at least {}, but {} does not report it "
                      "(it reports: {})",
                      name, value, table.title, fmt::join(known, ", ")));
    } else if (!(found->second >= value)) {
      problems.push_back(fmt::format("{} is {} ({}), expected at least {}", name,
                                     cell(found->second), table.title, value));
    }
  }
  return problems;
}

void write_voc_detections(const std::string& dir, const std::vector<std::string>& class_names,
                          const std::vector<ImageDetections>& images) {
  std::vector<std::string> texts(class_names.size());
  for (const ImageDetections& image : images) {
    for (const Detection& detection : image.detections) {
      check_label(detection, class_names.size(), image.image_id);
      const Box& box = detection.box;
      fmt::format_to(std::back_inserter(texts[static_cast<size_t>(detection.label - 1)]),
                     "{} {} {} {} {} {}\n", image.image_id, detection.score, box.x1 + 1, box.y1 + 1,
                     box.x2 + 1, box.y2 + 1);
    }
  }
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  SSDQ_CHECK(!error, "{}: the folder cannot be made: {}", dir, error.message());
  for (size_t c = 0; c < class_names.size(); ++c) {
    write_file(dir + "/det_test_" + class_names[c] + ".txt", texts[c]);
  }
}

void write_coco_detections(const std::string& path, const std::vector<int>& category_ids,
                           const std::vector<ImageDetections>& images) {
  std::string text = "[";
  for (const ImageDetections& image : images) {
    const int64_t image_id = to_number(image.image_id);
    for (const Detection& detection : image.detections) {
      check_label(detection, category_ids.size(), image.image_id);
      const Box& box = detection.box;
      fmt::format_to(std::back_inserter(text),
                     "{}{{\"image_id\":{},\"category_id\":{},\"bbox\":[{},{},{},{}],\"score\":{}}}",
                     text.size() > 1 ? ",\n" : "", image_id,
                     category_ids[static_cast<size_t>(detection.label - 1)], box.x1, box.y1,
                     box.width(), box.height(), detection.score);
    }
  }
  write_file(path, text + "]\n");
}

}  // namespace ssdq
