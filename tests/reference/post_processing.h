#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "ssdq/detection/post_processor.h"

namespace ssdq::testing {

// PostProcessor for one image with plain loops: scores in double, every pair of boxes compared.
class ReferencePostProcessor {
 public:
  ReferencePostProcessor(std::vector<CenterBox> priors, int num_classes, PostProcessOptions options)
      : priors_(std::move(priors)), num_classes_(num_classes), options_(options) {}

  Detections run(const float* logits, const float* locations, Size2 size) const {
    std::vector<Scored> all;
    for (int label = 1; label < num_classes_; ++label) {
      const std::vector<Scored> kept = suppress(candidates(logits, locations, size, label));
      all.insert(all.end(), kept.begin(), kept.end());
    }
    sort_and_limit(all, options_.max_per_image);
    Detections detections;
    for (const Scored& scored : all) {
      const Box box = options_.clip ? clipped(scored.box, size) : scored.box;
      detections.push_back({box, static_cast<float>(scored.score), scored.label});
    }
    return detections;
  }

 private:
  struct Scored {
    Box box;
    double score;
    int label;
  };

  static void sort_and_limit(std::vector<Scored>& scored, int limit) {
    std::stable_sort(scored.begin(), scored.end(),
                     [](const Scored& a, const Scored& b) { return a.score > b.score; });
    if (limit >= 0 && scored.size() > static_cast<size_t>(limit)) {
      scored.resize(static_cast<size_t>(limit));
    }
  }

  static Box clipped(const Box& box, Size2 size) {
    const auto width = static_cast<float>(size.width);
    const auto height = static_cast<float>(size.height);
    return {std::clamp(box.x1, 0.0F, width), std::clamp(box.y1, 0.0F, height),
            std::clamp(box.x2, 0.0F, width), std::clamp(box.y2, 0.0F, height)};
  }

  Box pixel_box(size_t p, const float* d, Size2 size) const {
    const CenterBox& prior = priors_[p];
    const float w = prior.w * std::exp(d[2] * options_.variances.size);
    const float h = prior.h * std::exp(d[3] * options_.variances.size);
    const float cx = prior.cx + d[0] * options_.variances.center * prior.w;
    const float cy = prior.cy + d[1] * options_.variances.center * prior.h;
    const auto width = static_cast<float>(size.width);
    const auto height = static_cast<float>(size.height);
    return {(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width,
            (cy + h / 2) * height};
  }

  std::vector<Scored> candidates(const float* logits, const float* locations, Size2 size,
                                 int label) const {
    std::vector<Scored> found;
    for (size_t p = 0; p < priors_.size(); ++p) {
      const float* row = logits + p * static_cast<size_t>(num_classes_);
      double sum = 1 + std::exp(-static_cast<double>(row[label]));
      if (options_.scores == ScoreFunction::kSoftmax) {
        sum = 0;
        for (int c = 0; c < num_classes_; ++c) {
          sum += std::exp(static_cast<double>(row[c]) - row[label]);
        }
      }
      if (1 / sum > options_.confidence_threshold) {
        found.push_back({pixel_box(p, locations + p * 4, size), 1 / sum, label});
      }
    }
    sort_and_limit(found, options_.candidates_per_class);
    return found;
  }

  std::vector<Scored> suppress(const std::vector<Scored>& sorted) const {
    std::vector<bool> dropped(sorted.size(), false);
    std::vector<Scored> kept;
    for (size_t i = 0; i < sorted.size(); ++i) {
      if (!dropped[i]) {
        kept.push_back(sorted[i]);
      }
      for (size_t j = i + 1; j < sorted.size() && !dropped[i]; ++j) {
        if (iou(sorted[i].box, sorted[j].box) > options_.nms_threshold) {
          dropped[j] = true;
        }
      }
    }
    sort_and_limit(kept, options_.max_per_class);
    return kept;
  }

  std::vector<CenterBox> priors_;
  int num_classes_;
  PostProcessOptions options_;
};

}  // namespace ssdq::testing
