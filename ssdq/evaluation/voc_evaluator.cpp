#include "ssdq/evaluation/voc_evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <tbb/parallel_for.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

enum class Outcome { kRight, kWrong, kIgnored };

struct Scored {
  float score;
  Outcome outcome;
};

double voc_iou(const Box& a, const Box& b, double extra) {
  const auto area = [&](double x1, double y1, double x2, double y2) {
    return std::max(0.0, x2 - x1 + extra) * std::max(0.0, y2 - y1 + extra);
  };
  const double common =
      area(std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2));
  const double both = area(a.x1, a.y1, a.x2, a.y2) + area(b.x1, b.y1, b.x2, b.y2) - common;
  return both > 0 ? common / both : 0.0;
}

bool is_ignored(const Object& object) { return object.difficult || object.crowd; }

// Appends the outcome of each detection of an image. Within an image they come by falling score, as
// they would among all images, so images can be matched one by one.
void match_image(const ClassImage& image, const VocOptions& options, std::vector<Scored>& scored) {
  std::vector<char> taken(image.objects.size(), 0);
  for (const Detection* detection : image.detections) {
    double best = options.iou_threshold;
    size_t best_object = image.objects.size();
    for (size_t i = 0; i < image.objects.size(); ++i) {
      const double overlap =
          voc_iou(detection->box, image.objects[i]->box, options.plus_one ? 1.0 : 0.0);
      if (overlap > best) {
        best = overlap;
        best_object = i;
      }
    }
    Outcome outcome = Outcome::kWrong;
    if (best_object < image.objects.size()) {
      if (is_ignored(*image.objects[best_object])) {
        outcome = Outcome::kIgnored;
      } else if (!taken[best_object]) {
        outcome = Outcome::kRight;
        taken[best_object] = 1;
      }
    }
    scored.push_back({detection->score, outcome});
  }
}

double eleven_point_ap(const std::vector<double>& recall, const std::vector<double>& precision) {
  double sum = 0;
  for (int i = 0; i <= 10; ++i) {
    // As the reference: 3 * 0.1 lies above 0.3, so a recall of exactly 0.3 does not reach it.
    const auto first = std::lower_bound(recall.begin(), recall.end(), i * 0.1);
    if (first != recall.end()) {
      sum += *std::max_element(precision.begin() + (first - recall.begin()), precision.end());
    }
  }
  return sum / 11.0;
}

double area_ap(const std::vector<double>& recall, const std::vector<double>& precision) {
  double sum = 0;
  double highest = 0;
  for (size_t i = recall.size(); i-- > 0;) {
    highest = std::max(highest, precision[i]);
    sum += (recall[i] - (i > 0 ? recall[i - 1] : 0.0)) * highest;
  }
  return sum;
}

double mean_defined(const std::vector<double>& values) {
  double sum = 0;
  int count = 0;
  for (const double value : values) {
    if (!std::isnan(value)) {
      sum += value;
      ++count;
    }
  }
  return count > 0 ? sum / count : kNan;
}

}  // namespace

double voc_average_precision(const std::vector<double>& recall,
                             const std::vector<double>& precision, bool eleven_point) {
  return eleven_point ? eleven_point_ap(recall, precision) : area_ap(recall, precision);
}

VocEvaluator::VocEvaluator(std::vector<std::string> class_names, VocOptions options)
    : options_(options), store_(std::move(class_names)) {
  SSDQ_CHECK_CONFIG(options.iou_threshold >= 0 && options.iou_threshold < 1,
                    "VOC evaluation: the IoU threshold must be in [0, 1), got {}",
                    options.iou_threshold);
}

void VocEvaluator::reset() { store_.clear(); }

void VocEvaluator::add(const Record& truth, const Detections& detections) {
  store_.add(truth, detections);
}

void VocEvaluator::merge(const Evaluator& other) {
  const auto* voc = dynamic_cast<const VocEvaluator*>(&other);
  SSDQ_CHECK(voc != nullptr, "evaluation: VOC results can only be merged with VOC results");
  store_.merge(voc->store_);
}

double VocEvaluator::class_ap(const std::vector<ClassImage>& images) const {
  int64_t num_objects = 0;
  std::vector<Scored> scored;
  for (const ClassImage& image : images) {
    num_objects += std::count_if(image.objects.begin(), image.objects.end(),
                                 [](const Object* object) { return !is_ignored(*object); });
    match_image(image, options_, scored);
  }
  if (num_objects == 0) {
    return kNan;
  }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const Scored& a, const Scored& b) { return a.score > b.score; });
  std::vector<double> recall;
  std::vector<double> precision;
  double right = 0;
  double counted = 0;
  for (const Scored& detection : scored) {
    if (detection.outcome == Outcome::kIgnored) {
      continue;
    }
    counted += 1;
    right += detection.outcome == Outcome::kRight ? 1 : 0;
    recall.push_back(right / static_cast<double>(num_objects));
    precision.push_back(right / counted);
  }
  return voc_average_precision(recall, precision, options_.eleven_point);
}

MetricTable VocEvaluator::evaluate() const {
  const std::vector<std::vector<ClassImage>> classes = store_.by_class();
  std::vector<double> ap(classes.size());
  tbb::parallel_for(size_t{0}, classes.size(), [&](size_t c) { ap[c] = class_ap(classes[c]); });

  MetricTable table;
  table.title = fmt::format("VOC AP@{}, {}", options_.iou_threshold,
                            options_.eleven_point ? "11-point" : "area under the curve");
  table.metrics = {{"mAP", mean_defined(ap)}};
  for (size_t c = 0; c < classes.size(); ++c) {
    table.per_class.emplace_back(store_.class_names()[c], ap[c]);
  }
  return table;
}

}  // namespace ssdq
