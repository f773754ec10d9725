#pragma once

#include <string>
#include <vector>

#include "ssdq/evaluation/detection_store.h"
#include "ssdq/evaluation/evaluator.h"

namespace ssdq {

// The twelve numbers of COCO's detection challenge, number for number as its API computes them:
//   AP (mean over IoU 0.50, 0.55, ... 0.95 and 101 recalls), AP50, AP75, APs, APm, APl (objects up
//   to 32^2, to 96^2 and above, in square pixels), AR1, AR10, AR100 (average recall with that many
//   detections per image and class), ARs, ARm, ARl.
// A metric over which there is no ground truth is -1, as there. Per class: AP.
//
// Crowds are ignored, with the overlap measured against the detection's area alone, and may be hit
// many times. Difficult objects (which COCO does not have) are ignored too, with plain IoU. Objects
// without an area have that of their box. Equal scores are taken by rising image id, then in the
// order added; at most 100 detections per image and class count.
//
// Paper: Lin et al., ECCV 2014, arXiv:1405.0312; the rules are cocodataset.org/#detection-eval.
class CocoEvaluator : public Evaluator {
 public:
  explicit CocoEvaluator(std::vector<std::string> class_names);

  void reset() override;
  void add(const Record& truth, const Detections& detections) override;
  void merge(const Evaluator& other) override;
  MetricTable evaluate() const override;

 private:
  DetectionStore store_;
};

}  // namespace ssdq
