#pragma once

#include <vector>

#include "ssdq/detection/box_coder.h"
#include "ssdq/detection/priors.h"
#include "ssdq/structures/detection.h"
#include "ssdq/structures/score_function.h"
#include "ssdq/structures/size.h"

namespace ssdq {

struct PostProcessOptions {
  float confidence_threshold = 0.01F;  // keep scores above it, [0, 1)
  float nms_threshold =
      0.45F;  // drop boxes whose IoU with a better one of their class is above it, [0, 1]
  int candidates_per_class = 400;  // best of a class that enter suppression; -1 all
  int max_per_class = -1;          // detections of a class; -1 all
  int max_per_image = 100;         // detections of an image; -1 all
  bool clip = true;                // clip what is returned to the image
  BoxVariances variances;
  ScoreFunction scores = ScoreFunction::kSoftmax;
};

// Network outputs to detections: scores, threshold, decoding, greedy suppression per class, best
// of the image.
//
// Candidates are visited by falling score (ties: lower class, then lower prior) until the image is
// full, each compared with the boxes already kept of its class, so the work grows with what is kept
// and not with the square of what passes the threshold. IoU is of unclipped boxes in pixels;
// clipping comes last. A prior with a NaN or +inf logit, or a box that is not finite, gives
// nothing.
class PostProcessor {
 public:
  // `num_classes` counts the background, class 0. Throws ConfigError for an option out of range.
  PostProcessor(std::vector<CenterBox> priors, int num_classes, PostProcessOptions options);

  // `class_logits` [N, P, C] and `locations` [N, P, 4] for the N images of `image_sizes` (original
  // pixels). Uses up to `num_threads` threads, at most and for 0 one per core; the result does not
  // depend on it.
  std::vector<Detections> run(const float* class_logits, const float* locations,
                              const std::vector<Size2>& image_sizes, int num_threads) const;

  int num_priors() const { return static_cast<int>(priors_.size()); }
  int num_classes() const { return num_classes_; }

 private:
  Detections process(const float* class_logits, const float* locations, Size2 image_size,
                     bool parallel) const;

  std::vector<CenterBox> priors_;
  int num_classes_;
  PostProcessOptions options_;
};

}  // namespace ssdq
