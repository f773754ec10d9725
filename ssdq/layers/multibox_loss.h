#pragma once

#include <cstdint>
#include <optional>

#include <torch/types.h>

#include "ssdq/structures/score_function.h"

namespace ssdq {

struct MultiBoxLoss {
  torch::Tensor classification;  // scalar: cross entropy of positives and hard negatives
  torch::Tensor localization;    // scalar: smooth L1 of positives
  int64_t num_positive = 0;      // priors with an object, in this batch
};

// Loss of an SSD detector (Liu et al., ECCV 2016, section 2.2): `logits` [N, P, C] with the
// background at 0, `boxes` [N, P, 4], `labels` [N, P] int64, `targets` [N, P, 4]. In each image the
// ceil(neg_pos_ratio * positives) background priors with the largest classification loss, -log
// p_background, count as negatives, the first of equals. Both sums are divided by num_positive, or
// by 1 when there is none (both losses are then 0).
//
// A batch that is the part of one rank is divided by `divisor` instead: the positives of all ranks'
// parts (count_positives(), added up), or by 1 when there is none. The losses and gradients of the
// ranks then add up to those of the whole batch.
//
// kSigmoid: every foreground class is a question of its own, and the classification loss of a prior
// is the sum over the classes 1..C-1 of the binary cross entropy of that logit, with target 1 for
// the prior's class and 0 for the others (TensorFlow's sigmoid detectors). Negatives are ranked by
// it too. The background's logit has no part and gets no gradient.
//
// Computed in float32 whatever lower precision comes in, in float64 for float64. A NaN logit
// anywhere makes the classification loss NaN, so that training can stop. Throws Error on shapes
// that disagree.
MultiBoxLoss multibox_loss(const torch::Tensor& logits, const torch::Tensor& boxes,
                           const torch::Tensor& labels, const torch::Tensor& targets,
                           double neg_pos_ratio, ScoreFunction scores = ScoreFunction::kSoftmax,
                           std::optional<int64_t> divisor = {});

// Priors with an object: a scalar, int64, on the device of `labels` [N, P].
torch::Tensor count_positives(const torch::Tensor& labels);

// The priors whose classification counts there, [N, P] bool: those with a label, the negatives that
// `logits` choose, and those with a NaN.
torch::Tensor counted_priors(const torch::Tensor& logits, const torch::Tensor& labels,
                             double neg_pos_ratio, ScoreFunction scores);

}  // namespace ssdq
