#include "ssdq/evaluation/coco_evaluator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>

#include <tbb/parallel_for.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr size_t kNumThresholds = 10;
constexpr int kNumRecalls = 101;
constexpr size_t kMaxDetections = 100;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct AreaRange {
  double low, high;  // square pixels, both included
};

constexpr std::array<AreaRange, 4> kAreaRanges = {
    {{0, 1e10}, {0, 32.0 * 32.0}, {32.0 * 32.0, 96.0 * 96.0}, {96.0 * 96.0, 1e10}}};

enum class Outcome : char { kRight, kWrong, kIgnored };

// By threshold: a value, or NaN when the class has no ground truth in the area range.
using ByThreshold = std::array<double, kNumThresholds>;

struct Curve {
  ByThreshold ap;
  ByThreshold recall;
};

struct ClassScores {
  std::array<Curve, 4> by_area;  // at most 100 detections per image
  Curve top1, top10;             // all areas
};

// Value `index` of `count` evenly spaced ones, rounded as numpy.linspace rounds it.
double linspace(double start, double stop, int count, int index) {
  return index == count - 1 ? stop : index * ((stop - start) / (count - 1)) + start;
}

double width(const Box& box) { return static_cast<double>(box.x2) - box.x1; }
double height(const Box& box) { return static_cast<double>(box.y2) - box.y1; }
double box_area(const Box& box) { return width(box) * height(box); }
double object_area(const Object& object) {
  return object.area >= 0 ? object.area : box_area(object.box);
}

double overlap(const Box& detection, const Object& object) {
  const Box& truth = object.box;
  const double w =
      static_cast<double>(std::min(detection.x2, truth.x2)) - std::max(detection.x1, truth.x1);
  const double h =
      static_cast<double>(std::min(detection.y2, truth.y2)) - std::max(detection.y1, truth.y1);
  if (w <= 0 || h <= 0) {
    return 0;
  }
  const double area = box_area(detection);
  return w * h / (object.crowd ? area : area + box_area(truth) - w * h);
}

bool outside(double area, const AreaRange& range) { return area < range.low || area > range.high; }

// One image, one class: overlaps once, matches per area range and threshold.
class ImageMatcher {
 public:
  explicit ImageMatcher(const ClassImage& image) : image_(image) {
    num_detections_ = std::min(image.detections.size(), kMaxDetections);
    overlaps_.reserve(num_detections_ * image.objects.size());
    for (size_t d = 0; d < num_detections_; ++d) {
      for (const Object* object : image.objects) {
        overlaps_.push_back(overlap(image.detections[d]->box, *object));
      }
    }
  }

  size_t num_detections() const { return num_detections_; }
  float score(size_t d) const { return image_.detections[d]->score; }

  // Number of objects that count in the range. Sets up match() for it.
  int64_t set_range(const AreaRange& range) {
    range_ = range;
    const size_t num_objects = image_.objects.size();
    ignored_.assign(num_objects, 0);
    for (size_t i = 0; i < num_objects; ++i) {
      const Object& object = *image_.objects[i];
      const bool ignored = object.crowd || object.difficult || outside(object_area(object), range);
      ignored_[i] = ignored ? 1 : 0;
    }
    order_.resize(num_objects);
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_partition(order_.begin(), order_.end(), [&](size_t i) { return !ignored_[i]; });
    return std::count(ignored_.begin(), ignored_.end(), 0);
  }

  // Appends the outcome of each detection at an IoU of at least `threshold`.
  void match(double threshold, std::vector<Outcome>& outcomes) const {
    std::vector<char> taken(image_.objects.size(), 0);
    for (size_t d = 0; d < num_detections_; ++d) {
      const size_t best = best_object(d, threshold, taken);
      if (best == image_.objects.size()) {
        const bool elsewhere = outside(box_area(image_.detections[d]->box), range_);
        outcomes.push_back(elsewhere ? Outcome::kIgnored : Outcome::kWrong);
        continue;
      }
      taken[best] = 1;
      outcomes.push_back(ignored_[best] ? Outcome::kIgnored : Outcome::kRight);
    }
  }

 private:
  // The free object with the highest overlap, the last of equals; an ignored one only if none that
  // counts reaches the threshold; the number of objects if none does.
  size_t best_object(size_t d, double threshold, const std::vector<char>& taken) const {
    const size_t num_objects = image_.objects.size();
    double highest = std::min(threshold, 1 - 1e-10);
    size_t best = num_objects;
    for (const size_t i : order_) {
      if (taken[i] && !image_.objects[i]->crowd) {
        continue;
      }
      if (best < num_objects && !ignored_[best] && ignored_[i]) {
        break;
      }
      if (overlaps_[d * num_objects + i] >= highest) {
        highest = overlaps_[d * num_objects + i];
        best = i;
      }
    }
    return best;
  }

  const ClassImage& image_;
  size_t num_detections_ = 0;
  std::vector<double> overlaps_;  // [num_detections, num_objects]
  AreaRange range_{};
  std::vector<char> ignored_;  // by object
  std::vector<size_t> order_;  // objects that count first
};

// All detections of one class in one area range.
struct RangeMatches {
  int64_t num_objects = 0;
  std::vector<float> scores;  // images by rising id, each by falling score
  std::vector<size_t> ranks;  // of the detection within its image, from 0
  std::array<std::vector<Outcome>, kNumThresholds> outcomes;
};

RangeMatches match_range(std::vector<ImageMatcher>& matchers, const AreaRange& range) {
  RangeMatches matches;
  for (ImageMatcher& matcher : matchers) {
    matches.num_objects += matcher.set_range(range);
    for (size_t d = 0; d < matcher.num_detections(); ++d) {
      matches.scores.push_back(matcher.score(d));
      matches.ranks.push_back(d);
    }
    for (size_t t = 0; t < kNumThresholds; ++t) {
      matcher.match(linspace(0.5, 0.95, kNumThresholds, static_cast<int>(t)), matches.outcomes[t]);
    }
  }
  return matches;
}

double interpolated_ap(const std::vector<double>& recall, std::vector<double> precision) {
  for (size_t i = precision.size(); i-- > 1;) {
    precision[i - 1] = std::max(precision[i - 1], precision[i]);
  }
  double sum = 0;
  for (int i = 0; i < kNumRecalls; ++i) {
    const auto first =
        std::lower_bound(recall.begin(), recall.end(), linspace(0, 1, kNumRecalls, i));
    sum += first == recall.end() ? 0.0 : precision[first - recall.begin()];
  }
  return sum / kNumRecalls;
}

Curve curve(const RangeMatches& matches, size_t max_detections) {
  Curve result;
  result.ap.fill(kNan);
  result.recall.fill(kNan);
  if (matches.num_objects == 0) {
    return result;
  }
  std::vector<size_t> order;
  for (size_t d = 0; d < matches.scores.size(); ++d) {
    if (matches.ranks[d] < max_detections) {
      order.push_back(d);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return matches.scores[a] > matches.scores[b]; });
  for (size_t t = 0; t < kNumThresholds; ++t) {
    std::vector<double> recall;
    std::vector<double> precision;
    double right = 0;
    double counted = 0;
    for (const size_t d : order) {
      right += matches.outcomes[t][d] == Outcome::kRight ? 1 : 0;
      counted += matches.outcomes[t][d] == Outcome::kIgnored ? 0 : 1;
      recall.push_back(right / static_cast<double>(matches.num_objects));
      precision.push_back(right / (counted + std::numeric_limits<double>::epsilon()));
    }
    result.recall[t] = recall.empty() ? 0.0 : recall.back();
    result.ap[t] = interpolated_ap(recall, std::move(precision));
  }
  return result;
}

ClassScores score_class(const std::vector<ClassImage>& images) {
  std::vector<ImageMatcher> matchers(images.begin(), images.end());
  ClassScores scores;
  for (size_t a = 0; a < kAreaRanges.size(); ++a) {
    const RangeMatches matches = match_range(matchers, kAreaRanges[a]);
    scores.by_area[a] = curve(matches, kMaxDetections);
    if (a == 0) {
      scores.top1 = curve(matches, 1);
      scores.top10 = curve(matches, 10);
    }
  }
  return scores;
}

double mean(const ByThreshold& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / kNumThresholds;
}

// Mean over the classes that have ground truth, -1 when none has. Every such class has the same
// number of thresholds and recalls, so the mean of means is the mean over all of them.
double class_mean(const std::vector<ClassScores>& classes,
                  const std::function<double(const ClassScores&)>& value) {
  double sum = 0;
  int count = 0;
  for (const ClassScores& scores : classes) {
    const double v = value(scores);
    if (!std::isnan(v)) {
      sum += v;
      ++count;
    }
  }
  return count > 0 ? sum / count : -1.0;
}

std::vector<std::pair<std::string, double>> summarize(const std::vector<ClassScores>& classes) {
  std::vector<std::pair<std::string, double>> metrics;
  const auto put = [&](const char* name, const std::function<double(const ClassScores&)>& value) {
    metrics.emplace_back(name, class_mean(classes, value));
  };
  put("AP", [](const ClassScores& s) { return mean(s.by_area[0].ap); });
  put("AP50", [](const ClassScores& s) { return s.by_area[0].ap[0]; });
  put("AP75", [](const ClassScores& s) { return s.by_area[0].ap[5]; });
  put("APs", [](const ClassScores& s) { return mean(s.by_area[1].ap); });
  put("APm", [](const ClassScores& s) { return mean(s.by_area[2].ap); });
  put("APl", [](const ClassScores& s) { return mean(s.by_area[3].ap); });
  put("AR1", [](const ClassScores& s) { return mean(s.top1.recall); });
  put("AR10", [](const ClassScores& s) { return mean(s.top10.recall); });
  put("AR100", [](const ClassScores& s) { return mean(s.by_area[0].recall); });
  put("ARs", [](const ClassScores& s) { return mean(s.by_area[1].recall); });
  put("ARm", [](const ClassScores& s) { return mean(s.by_area[2].recall); });
  put("ARl", [](const ClassScores& s) { return mean(s.by_area[3].recall); });
  return metrics;
}

}  // namespace

CocoEvaluator::CocoEvaluator(std::vector<std::string> class_names)
    : store_(std::move(class_names)) {}

void CocoEvaluator::reset() { store_.clear(); }

void CocoEvaluator::add(const Record& truth, const Detections& detections) {
  store_.add(truth, detections);
}

void CocoEvaluator::merge(const Evaluator& other) {
  const auto* coco = dynamic_cast<const CocoEvaluator*>(&other);
  SSDQ_CHECK(coco != nullptr, "evaluation: COCO results can only be merged with COCO results");
  store_.merge(coco->store_);
}

MetricTable CocoEvaluator::evaluate() const {
  const std::vector<std::vector<ClassImage>> images = store_.by_class();
  std::vector<ClassScores> classes(images.size());
  tbb::parallel_for(size_t{0}, images.size(),
                    [&](size_t c) { classes[c] = score_class(images[c]); });

  MetricTable table;
  table.title = "COCO, AP over IoU 0.50:0.95";
  table.metrics = summarize(classes);
  for (size_t c = 0; c < classes.size(); ++c) {
    table.per_class.emplace_back(store_.class_names()[c], mean(classes[c].by_area[0].ap));
  }
  return table;
}

}  // namespace ssdq
