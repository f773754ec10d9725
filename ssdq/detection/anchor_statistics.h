#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/structures/box.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// Sides of a box in pixels of the network's input.
struct BoxShape {
  float width = 0, height = 0;

  float area() const { return width * height; }
};

// IoU of two boxes with the same centre; the sides must be positive.
float shape_iou(const BoxShape& a, const BoxShape& b);

// The default boxes of one level: every shape at every crossing of a column and a row. Pixels of
// the network's input.
struct PriorLevel {
  std::vector<float> columns, rows;  // rising centres
  std::vector<BoxShape> shapes;
};

// make_priors() by level. Throws as it does.
std::vector<PriorLevel> prior_levels(const PriorsConfig& priors, const std::vector<Size2>& maps,
                                     Size2 image_size);

// The largest IoU of `box` with a default box of the level, which for each shape is the one whose
// centre is nearest in both directions.
float best_iou(const PriorLevel& level, const Box& box);

struct CoverageRow {
  std::string name;
  int64_t boxes = 0;
  double mean_iou = 0;  // mean of the best IoU; 0 without boxes
  double recall = 0;    // share of boxes whose best IoU is at least the threshold
};

// How well default boxes fit the boxes of a data set.
struct Coverage {
  CoverageRow all;
  std::vector<CoverageRow> by_size;   // small, medium, large: area below 32^2, 96^2 px, above
  std::vector<CoverageRow> by_level;  // by the level of the best default box, the first of equals
  int64_t missed = 0;                 // boxes whose best IoU is below the threshold
};

// Boxes in pixels of the network's input. Throws Error when there is none or one has no area.
Coverage measure_coverage(const std::vector<PriorLevel>& levels, const std::vector<Box>& boxes,
                          float threshold = 0.5F);

// Shapes of the boxes. Throws Error for a box without area.
std::vector<BoxShape> shapes_of(const std::vector<Box>& boxes);

}  // namespace ssdq
