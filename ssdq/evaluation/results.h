#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/evaluation/evaluator.h"

namespace ssdq {

struct ImageDetections {
  std::string image_id;
  Detections detections;  // boxes as everywhere: pixels from 0
};

// The table for people: the protocol, AP per class ("-" without ground truth), then the metrics.
// ASCII only, every line ended.
std::string to_text(const MetricTable& table);

// One JSON object: {"title": ..., "metrics": {name: value}, "per_class": {name: AP}}; NaN is null.
std::string to_json(const MetricTable& table);

// A sentence for each metric that is below the least value expected or that the table lacks.
// Empty when all is well.
std::vector<std::string> check_expected(const MetricTable& table,
                                        const std::map<std::string, double>& least);

// Writes DIR/det_test_CLASS.txt for every class (made if missing), a line per detection as the VOC
// development kit reads them: image id, score, x1 y1 x2 y2 in pixels counted from 1. Throws Error.
void write_voc_detections(const std::string& dir, const std::vector<std::string>& class_names,
                          const std::vector<ImageDetections>& images);

// Writes the detections as a COCO results file: a JSON list of {image_id, category_id,
// bbox [x, y, width, height], score}. category_ids[i] is the id of label i + 1. Throws Error, also
// for an image id that is not a number.
void write_coco_detections(const std::string& path, const std::vector<int>& category_ids,
                           const std::vector<ImageDetections>& images);

}  // namespace ssdq
