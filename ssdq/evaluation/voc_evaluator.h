#pragma once

#include <string>
#include <vector>

#include "ssdq/evaluation/detection_store.h"
#include "ssdq/evaluation/evaluator.h"

namespace ssdq {

struct VocOptions {
  bool eleven_point = false;   // VOC2007's 11 recalls instead of the area under the curve
  double iou_threshold = 0.5;  // a match has an IoU strictly above
  bool plus_one = true;        // widths are x2 - x1 + 1, as in the devkit: corners name pixels
};

// Average precision of one class. `recall` rises, `precision` belongs to it, both in [0, 1] and of
// the same length, one entry per detection by falling score; empty gives 0.
// Area: the sum of recall steps times the highest precision at that recall or beyond.
// Eleven point: mean over recalls 0, 0.1, ... 1 of that highest precision.
double voc_average_precision(const std::vector<double>& recall,
                             const std::vector<double>& precision, bool eleven_point);

// AP as PASCAL VOC defines it. Detections of a class, by falling score, each look at the object of
// their image with the highest IoU: above the threshold they are right the first time and wrong
// after. Difficult objects (and crowds) are no miss, and detections on them count neither way.
// Equal scores are taken by rising image id, then in the order added. Metric: "mAP", the mean over
// the classes that have ground truth; NaN when there is none at all.
//
// Paper: Everingham et al., IJCV 2010, and the VOC2007 and VOC2012 development kits.
class VocEvaluator : public Evaluator {
 public:
  // Throws ConfigError if the IoU threshold is outside [0, 1).
  explicit VocEvaluator(std::vector<std::string> class_names, VocOptions options = {});

  void reset() override;
  void add(const Record& truth, const Detections& detections) override;
  void merge(const Evaluator& other) override;
  MetricTable evaluate() const override;

 private:
  double class_ap(const std::vector<ClassImage>& images) const;

  VocOptions options_;
  DetectionStore store_;
};

}  // namespace ssdq
