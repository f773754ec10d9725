#pragma once

#include <functional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/data/dataset.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/evaluation/evaluator.h"

namespace ssdq {

// Detections of one decoded image, in its own pixels. `rgb` is 8-bit RGB of any size.
Detections detect(Detector& detector, const PostProcessor& post_processor,
                  const Experiment& experiment, const cv::Mat& rgb);

// Called for each image of a data set with its index and detections, in order.
using DetectionSink = std::function<void(int64_t index, const Detections& detections)>;

// Runs the detector, in evaluation mode, over the whole data set.
void run_inference(Detector& detector, const Experiment& experiment, const Dataset& dataset,
                   const DetectionSink& sink);

struct EvaluationResult {
  std::string dataset;
  MetricTable table;
};

// Metrics of the detector on each of DATASETS.TEST by the protocol of TEST.METRIC ("auto": COCO's
// for COCO data, else VOC area), from the detections of all ranks and alike on all of them. With
// TEST.BN_FUSE a copy with folded batch norm is measured.
std::vector<EvaluationResult> evaluate(Detector& detector, const Experiment& experiment);

// What METRIC "auto" means for a data set.
std::string resolve_metric(const std::string& metric, const Dataset& dataset);

}  // namespace ssdq
