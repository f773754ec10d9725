#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ssdq/detection/post_processor.h"

namespace ssdq::testing {

struct ScoredBox {
  Box box;
  double score;
  int prior;
};

// PostProcessor for one image with plain loops: softmax in double, every pair of boxes compared.
inline Detections reference_detections(const std::vector<CenterBox>& priors, int num_classes,
                                       const PostProcessOptions& options, const float* logits,
                                       const float* locations, Size2 size) {
  struct Kept {
    ScoredBox scored;
    int label;
  };
  std::vector<Kept> all;
  for (int label = 1; label < num_classes; ++label) {
    std::vector<ScoredBox> candidates;
    for (size_t p = 0; p < priors.size(); ++p) {
      double sum = 0;
      for (int c = 0; c < num_classes; ++c) {
        sum += std::exp(static_cast<double>(logits[p * num_classes + c]) -
                        logits[p * num_classes + label]);
      }
      if (1 / sum > options.confidence_threshold) {
        const float* d = locations + p * 4;
        const float w = priors[p].w * std::exp(d[2] * options.variances.size);
        const float h = priors[p].h * std::exp(d[3] * options.variances.size);
        const float cx = priors[p].cx + d[0] * options.variances.center * priors[p].w;
        const float cy = priors[p].cy + d[1] * options.variances.center * priors[p].h;
        const auto sx = static_cast<float>(size.width);
        const auto sy = static_cast<float>(size.height);
        candidates.push_back(
            {{(cx - w / 2) * sx, (cy - h / 2) * sy, (cx + w / 2) * sx, (cy + h / 2) * sy},
             1 / sum,
             static_cast<int>(p)});
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const ScoredBox& a, const ScoredBox& b) { return a.score > b.score; });
    if (options.candidates_per_class >= 0 &&
        candidates.size() > static_cast<size_t>(options.candidates_per_class)) {
      candidates.resize(static_cast<size_t>(options.candidates_per_class));
    }
    std::vector<bool> dropped(candidates.size(), false);
    int kept = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (dropped[i] || (options.max_per_class >= 0 && kept >= options.max_per_class)) {
        continue;
      }
      ++kept;
      all.push_back({candidates[i], label});
      for (size_t j = i + 1; j < candidates.size(); ++j) {
        if (iou(candidates[i].box, candidates[j].box) > options.nms_threshold) {
          dropped[j] = true;
        }
      }
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Kept& a, const Kept& b) { return a.scored.score > b.scored.score; });
  if (options.max_per_image >= 0 && all.size() > static_cast<size_t>(options.max_per_image)) {
    all.resize(static_cast<size_t>(options.max_per_image));
  }
  Detections detections;
  for (const Kept& kept : all) {
    Box box = kept.scored.box;
    if (options.clip) {
      box = {std::clamp(box.x1, 0.0F, static_cast<float>(size.width)),
             std::clamp(box.y1, 0.0F, static_cast<float>(size.height)),
             std::clamp(box.x2, 0.0F, static_cast<float>(size.width)),
             std::clamp(box.y2, 0.0F, static_cast<float>(size.height))};
    }
    detections.push_back({box, static_cast<float>(kept.scored.score), kept.label});
  }
  return detections;
}

}  // namespace ssdq::testing
