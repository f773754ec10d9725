#include "ssdq/detection/anchor_suggestion.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "ssdq/detection/priors.h"

namespace ssdq {
namespace {

constexpr size_t kMostSearched = 20000;
constexpr int kSweeps = 6;
constexpr double kLeastGain = 1e-6;
constexpr double kLeastSize = 2;     // px
constexpr double kLeastRatio = 1.1;  // nearer to 1 a box is one of the square ones
constexpr double kLargestRatio = 8;
constexpr double kLeastRise = 1.1;   // of the sizes from one level to the next
constexpr double kMostSpread = 2.5;  // of MAX_SIZES to the MIN_SIZES of its level
constexpr float kFound = 0.502F;     // IoU of a box that is covered, rounding of sizes allowed for
constexpr float kPrices[] = {0.5F, 5, 500};  // of a box below it; the search runs with each

std::vector<Box> sampled(const std::vector<Box>& boxes) {
  const size_t step = (boxes.size() + kMostSearched - 1) / kMostSearched;
  std::vector<Box> result;
  for (size_t i = 0; i < boxes.size(); i += step) {
    result.push_back(boxes[i]);
  }
  return result;
}

// The entries of one level as a configuration of its own.
PriorsConfig only_level(const PriorsConfig& priors, size_t level) {
  PriorsConfig one = priors;
  one.strides = {priors.strides[level]};
  one.min_sizes = {priors.min_sizes[level]};
  one.aspect_ratios = {priors.aspect_ratios[level]};
  if (!priors.max_sizes.empty()) one.max_sizes = {priors.max_sizes[level]};
  return one;
}

// Raises the mean best IoU of the boxes by changing one number at a time.
class Search {
 public:
  Search(PriorsConfig priors, const std::vector<Size2>& maps, Size2 image_size,
         const std::vector<Box>& boxes, float price)
      : priors_(std::move(priors)),
        maps_(maps),
        image_size_(image_size),
        boxes_(boxes),
        price_(price) {
    largest_ = 1.5 * std::max(image_size.width, image_size.height);
    for (size_t k = 0; k < maps_.size(); ++k) {
      by_level_.push_back(best_of(k));
    }
  }

  PriorsConfig run() {
    for (const double step : {1.3, 1.15, 1.07, 1.03}) {
      for (int sweep = 0; sweep < kSweeps; ++sweep) {
        double gain = 0;
        for (size_t k = 0; k < maps_.size(); ++k) {
          gain += improve_level(k, step);
        }
        if (gain < kLeastGain) break;
      }
    }
    return priors_;
  }

 private:
  std::vector<float> best_of(size_t k) const {
    const auto level = prior_levels(only_level(priors_, k), {maps_[k]}, image_size_).front();
    std::vector<float> best;
    best.reserve(boxes_.size());
    for (const Box& box : boxes_) {
      best.push_back(best_iou(level, box));
    }
    return best;
  }

  // Mean over the boxes of the better of the two, with the price of those not covered.
  double score(const std::vector<float>& a, const std::vector<float>& b) const {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const float iou = std::max(a[i], b[i]);
      sum += iou < kFound ? iou - price_ : iou;
    }
    return sum / static_cast<double>(a.size());
  }

  std::vector<float> best_of_others(size_t k) const {
    std::vector<float> best(boxes_.size(), 0);
    for (size_t other = 0; other < by_level_.size(); ++other) {
      if (other == k) continue;
      for (size_t i = 0; i < best.size(); ++i) {
        best[i] = std::max(best[i], by_level_[other][i]);
      }
    }
    return best;
  }

  bool allowed(size_t k) const {
    const auto [least, most] = extremes(k);
    const double max = has_max_size(priors_, k) ? priors_.max_sizes[k] : most;
    const bool rises = (k == 0 || least >= kLeastRise * extremes(k - 1).first) &&
                       (k + 1 == maps_.size() || extremes(k + 1).first >= kLeastRise * least);
    return rises && least >= kLeastSize && most <= max && max <= kMostSpread * most &&
           max <= largest_ &&
           std::all_of(priors_.aspect_ratios[k].begin(), priors_.aspect_ratios[k].end(),
                       [](double r) { return r >= kLeastRatio && r <= kLargestRatio; });
  }

  // Least and largest of the MIN_SIZES.
  std::pair<double, double> extremes(size_t k) const {
    const auto& sizes = priors_.min_sizes[k];
    const auto found = std::minmax_element(sizes.begin(), sizes.end());
    return {*found.first, *found.second};
  }

  std::vector<double*> numbers(size_t k) {
    std::vector<double*> all;
    for (double& size : priors_.min_sizes[k]) all.push_back(&size);
    if (has_max_size(priors_, k)) all.push_back(&priors_.max_sizes[k]);
    for (double& ratio : priors_.aspect_ratios[k]) all.push_back(&ratio);
    return all;
  }

  double improve_level(size_t k, double step) {
    const std::vector<float> others = best_of_others(k);
    double best = score(others, by_level_[k]);
    const double before = best;
    for (double* number : numbers(k)) {
      const double start = *number;
      double kept = start;
      for (const double factor : {step, 1 / step}) {
        *number = start * factor;
        if (!allowed(k)) continue;
        std::vector<float> ious = best_of(k);
        const double found = score(others, ious);
        if (found > best) {
          best = found;
          kept = *number;
          by_level_[k] = std::move(ious);
        }
      }
      *number = kept;
    }
    return best - before;
  }

  PriorsConfig priors_;
  const std::vector<Size2>& maps_;
  Size2 image_size_;
  const std::vector<Box>& boxes_;
  float price_;
  double largest_ = 0;
  std::vector<std::vector<float>> by_level_;  // best IoU of each box in each level
};

// A start in which the levels share the clusters among them, in the order of their areas. Square
// boxes come from their sizes, the others from how far they are from a square.
PriorsConfig from_clusters(const PriorsConfig& current, const ShapeClusters& clusters) {
  PriorsConfig priors = current;
  const size_t levels = priors.min_sizes.size();
  const size_t count = clusters.centers.size();
  double least = kLeastSize;
  for (size_t k = 0; k < levels; ++k) {
    const size_t from = std::min(count - 1, k * count / levels);
    const size_t to = std::max(from + 1, (k + 1) * count / levels);
    std::vector<double> sides, ratios;
    for (size_t c = from; c < to; ++c) {
      const BoxShape& shape = clusters.centers[c];
      sides.push_back(std::sqrt(shape.area()));
      ratios.push_back(std::exp(std::fabs(std::log(shape.width / shape.height))));
    }
    std::sort(ratios.begin(), ratios.end());
    const double low = std::max(least, sides.front());
    const double high = std::clamp(sides.back(), 1.2 * low, kMostSpread * low);
    least = kLeastRise * low;
    auto& sizes = priors.min_sizes[k];
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] =
          low * std::pow(high / low, static_cast<double>(i) / static_cast<double>(sizes.size()));
    }
    if (has_max_size(priors, k)) priors.max_sizes[k] = high;
    auto& own = priors.aspect_ratios[k];
    for (size_t i = 0; i < own.size(); ++i) {
      own[i] = std::clamp(ratios[(i + 1) * (ratios.size() - 1) / own.size()], 1.3, 4.0);
    }
  }
  return priors;
}

void round_all(std::vector<double>& values, double parts) {
  for (double& value : values) {
    value = std::round(value * parts) / parts;
  }
}

// What a person would write: tenths of pixels, hundredths of ratios.
PriorsConfig rounded(PriorsConfig priors) {
  for (auto& sizes : priors.min_sizes) round_all(sizes, 10);
  round_all(priors.max_sizes, 10);
  for (auto& ratios : priors.aspect_ratios) {
    round_all(ratios, 100);
    std::sort(ratios.begin(), ratios.end());
  }
  return priors;
}

std::string list(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    text += fmt::format("{}{:.6g}", text.empty() ? "" : ", ", value);
  }
  return "[" + text + "]";
}

std::string nested(const std::vector<std::vector<double>>& levels, bool single_as_number) {
  std::string text;
  for (const auto& level : levels) {
    const bool bare = single_as_number && level.size() == 1;
    text += (text.empty() ? "" : ", ") + (bare ? fmt::format("{:.6g}", level[0]) : list(level));
  }
  return "[" + text + "]";
}

}  // namespace

PriorSuggestion suggest_priors(const PriorsConfig& current, const std::vector<Size2>& maps,
                               Size2 image_size, const std::vector<Box>& boxes,
                               const ShapeClusters& clusters) {
  PriorSuggestion result;
  result.priors = current;
  result.current = measure_coverage(prior_levels(current, maps, image_size), boxes);
  result.suggested = result.current;
  std::vector<PriorsConfig> starts{current};
  if (!clusters.centers.empty()) starts.push_back(from_clusters(current, clusters));
  const std::vector<Box> searched = sampled(boxes);
  for (const PriorsConfig& start : starts) {
    for (const float price : kPrices) {
      const PriorsConfig found = rounded(Search(start, maps, image_size, searched, price).run());
      Coverage coverage = measure_coverage(prior_levels(found, maps, image_size), boxes);
      if (coverage.all.mean_iou > result.suggested.all.mean_iou + kLeastGain &&
          coverage.missed <= result.current.missed) {
        result.priors = found;
        result.suggested = std::move(coverage);
        result.better = true;
      }
    }
  }
  return result;
}

std::string priors_yaml(const PriorsConfig& priors) {
  std::string text = "MODEL:\n  PRIORS:\n";
  text += "    MIN_SIZES: " + nested(priors.min_sizes, true) + "\n";
  text += "    MAX_SIZES: " + list(priors.max_sizes) + "\n";
  text += "    ASPECT_RATIOS: " + nested(priors.aspect_ratios, false) + "\n";
  return text;
}

}  // namespace ssdq
