#pragma once

#include <vector>

#include <torch/types.h>

#include "ssdq/structures/score_function.h"

namespace ssdq {

// What a student detector lacks of its teacher's answers. No gradient reaches the teacher's
// tensors. Everything is computed in float32, in float64 when the student's tensors are; a NaN in
// what is compared makes the loss NaN. Throws Error on shapes that disagree.

// Difference of class scores at temperature T: `student` and `teacher` logits [N, P, C] with the
// background at 0, `labels` [N, P] int64.
//
// kSoftmax: T^2 KL(softmax(teacher / T) || softmax(student / T)) (Hinton et al., 2015). kSigmoid:
// the same of each foreground class by itself, T^2 times the sum of their binary KL divergences.
//
// Counted are the priors with a label and, in each image, ceil(neg_pos_ratio * positives)
// background priors, those that the teacher takes for background least: its hard negatives in the
// sense of multibox_loss. There the teacher knows most that labels do not say, while the easy
// background, most of all priors, would drown the rest (Chen et al., Learning Efficient Object
// Detection Models with Knowledge Distillation, NeurIPS 2017, weight the background for the same
// reason). The sum is divided by the number of positives of the batch, or by 1 when there is none
// (the loss is then 0).
torch::Tensor logit_distillation(const torch::Tensor& student, const torch::Tensor& teacher,
                                 const torch::Tensor& labels, double neg_pos_ratio,
                                 double temperature, ScoreFunction scores);

// Smooth L1 between the regressions [N, P, 4] of priors with a label, divided as above. Unlike Chen
// et al., it holds also where the student is closer to the object than the teacher is.
torch::Tensor box_distillation(const torch::Tensor& student, const torch::Tensor& teacher,
                               const torch::Tensor& labels);

// Attention transfer (Zagoruyko and Komodakis, ICLR 2017, equation 2, p = 2): the L2 distance
// between the attention maps of two features, a map being the sum over channels of squares, scaled
// to norm 1; the mean over images and levels. Features are [N, C, H, W] by level, of any C. A level
// of 1 x 1 adds nothing. The gradient where two maps are equal is taken as 0.
torch::Tensor attention_distillation(const std::vector<torch::Tensor>& student,
                                     const std::vector<torch::Tensor>& teacher);

}  // namespace ssdq
