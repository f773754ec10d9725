#include "ssdq/detection/anchor_statistics.h"

#include <algorithm>
#include <cmath>

#include "ssdq/detection/priors.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr float kSmallArea = 32 * 32;
constexpr float kMediumArea = 96 * 96;

float nearest(const std::vector<float>& rising, float value) {
  const auto above = std::lower_bound(rising.begin(), rising.end(), value);
  if (above == rising.begin()) return rising.front();
  if (above == rising.end()) return rising.back();
  return value - *(above - 1) <= *above - value ? *(above - 1) : *above;
}

// Length that two intervals share.
float overlap(float center, float side, float low, float high) {
  return std::max(0.0F, std::min(center + side / 2, high) - std::max(center - side / 2, low));
}

void add(CoverageRow& row, float iou, float threshold) {
  ++row.boxes;
  row.mean_iou += iou;
  row.recall += iou >= threshold ? 1 : 0;
}

void divide(CoverageRow& row) {
  if (row.boxes > 0) {
    row.mean_iou /= static_cast<double>(row.boxes);
    row.recall /= static_cast<double>(row.boxes);
  }
}

int size_class(const Box& box) {
  return box.area() < kSmallArea ? 0 : box.area() < kMediumArea ? 1 : 2;
}

bool has_area(const Box& box) {
  return std::isfinite(box.area()) && box.width() > 0 && box.height() > 0;
}

void check_boxes(const std::vector<Box>& boxes) {
  for (size_t i = 0; i < boxes.size(); ++i) {
    SSDQ_CHECK(has_area(boxes[i]), "box {} is {} x {} pixels; expected both sides above 0", i,
               boxes[i].width(), boxes[i].height());
  }
}

}  // namespace

float shape_iou(const BoxShape& a, const BoxShape& b) {
  const float common = std::min(a.width, b.width) * std::min(a.height, b.height);
  return common / (a.area() + b.area() - common);
}

std::vector<PriorLevel> prior_levels(const PriorsConfig& priors, const std::vector<Size2>& maps,
                                     Size2 image_size) {
  const std::vector<CenterBox> boxes = make_priors(priors, maps, image_size);
  const std::vector<int> counts = boxes_per_location(priors);
  const auto width = static_cast<float>(image_size.width);
  const auto height = static_cast<float>(image_size.height);
  std::vector<PriorLevel> levels(maps.size());
  const CenterBox* first = boxes.data();
  for (size_t k = 0; k < maps.size(); ++k) {
    const int count = counts[k];
    for (int column = 0; column < maps[k].width; ++column) {
      levels[k].columns.push_back(first[column * count].cx * width);
    }
    for (int row = 0; row < maps[k].height; ++row) {
      levels[k].rows.push_back(first[row * maps[k].width * count].cy * height);
    }
    for (int shape = 0; shape < count; ++shape) {
      levels[k].shapes.push_back({first[shape].w * width, first[shape].h * height});
    }
    first += maps[k].height * maps[k].width * count;
  }
  return levels;
}

float best_iou(const PriorLevel& level, const Box& box) {
  const float cx = nearest(level.columns, (box.x1 + box.x2) / 2);
  const float cy = nearest(level.rows, (box.y1 + box.y2) / 2);
  const float area = box.area();
  float best = 0;
  for (const BoxShape& shape : level.shapes) {
    const float common =
        overlap(cx, shape.width, box.x1, box.x2) * overlap(cy, shape.height, box.y1, box.y2);
    best = std::max(best, common / (area + shape.area() - common));
  }
  return best;
}

Coverage measure_coverage(const std::vector<PriorLevel>& levels, const std::vector<Box>& boxes,
                          float threshold) {
  SSDQ_CHECK(!boxes.empty() && !levels.empty(),
             "coverage needs boxes and default boxes, got {} boxes and {} levels", boxes.size(),
             levels.size());
  check_boxes(boxes);
  Coverage coverage;
  coverage.all.name = "all";
  for (const char* name : {"small", "medium", "large"}) {
    coverage.by_size.push_back({name, 0, 0, 0});
  }
  for (size_t k = 0; k < levels.size(); ++k) {
    coverage.by_level.push_back({fmt::format("level {}", k), 0, 0, 0});
  }
  for (const Box& box : boxes) {
    size_t level = 0;
    float best = -1;
    for (size_t k = 0; k < levels.size(); ++k) {
      const float iou = best_iou(levels[k], box);
      if (iou > best) {
        best = iou;
        level = k;
      }
    }
    add(coverage.all, best, threshold);
    add(coverage.by_size[size_class(box)], best, threshold);
    add(coverage.by_level[level], best, threshold);
    coverage.missed += best >= threshold ? 0 : 1;
  }
  divide(coverage.all);
  std::for_each(coverage.by_size.begin(), coverage.by_size.end(), divide);
  std::for_each(coverage.by_level.begin(), coverage.by_level.end(), divide);
  return coverage;
}

std::vector<BoxShape> shapes_of(const std::vector<Box>& boxes) {
  check_boxes(boxes);
  std::vector<BoxShape> shapes;
  shapes.reserve(boxes.size());
  for (const Box& box : boxes) {
    shapes.push_back({box.width(), box.height()});
  }
  return shapes;
}

}  // namespace ssdq
