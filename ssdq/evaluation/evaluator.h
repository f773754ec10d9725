#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ssdq/structures/detection.h"
#include "ssdq/structures/object.h"

namespace ssdq {

// The outcome of an evaluation. Values are fractions in [0, 1].
struct MetricTable {
  std::string title;                                      // the protocol, for people
  std::vector<std::pair<std::string, double>> metrics;    // in print order, e.g. {"mAP", 0.77}
  std::vector<std::pair<std::string, double>> per_class;  // AP; NaN without ground truth
};

// Collects truth and detections image by image, then scores them. Only the images added count:
// ground truth of other images is never asked for. The result does not depend on the order in which
// images are added, so parts gathered by several processes can be merged.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  // Forgets all images.
  virtual void reset() = 0;

  // Adds one image with all its objects, difficult and crowd ones included. Throws Error if the
  // image was added before, a label is not a class, or a score or box is not finite.
  virtual void add(const Record& truth, const Detections& detections) = 0;

  // Takes over the images of an evaluator of the same metric. Images present in both are taken
  // once: samplers repeat images to give every process the same number. Throws Error for another
  // metric.
  virtual void merge(const Evaluator& other) = 0;

  virtual MetricTable evaluate() const = 0;
};

struct EvaluatorInfo {
  std::string name;
  std::string summary;
};

// The metrics make_evaluator() knows, sorted by name.
std::vector<EvaluatorInfo> evaluator_list();

// Makes the evaluator called `metric`; class_names[i] is the name of label i + 1. Throws
// ConfigError for an unknown metric.
std::unique_ptr<Evaluator> make_evaluator(const std::string& metric,
                                          std::vector<std::string> class_names);

}  // namespace ssdq
