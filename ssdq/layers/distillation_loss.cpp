#include "ssdq/layers/distillation_loss.h"

#include <algorithm>

#include <torch/nn/functional.h>
#include <torch/torch.h>

#include "ssdq/layers/multibox_loss.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace F = torch::nn::functional;

torch::Tensor at_least_float(const torch::Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
}

// In the student's precision, without its history.
torch::Tensor constant(const torch::Tensor& teacher, const torch::Tensor& student) {
  return teacher.detach().to(student.scalar_type());
}

// [N, P, values] of both, for labels [N, P].
void check_shapes(const torch::Tensor& student, const torch::Tensor& teacher,
                  const torch::Tensor& labels) {
  const bool agree = student.dim() == 3 && student.sizes() == teacher.sizes() &&
                     labels.sizes() == student.sizes().slice(0, 2);
  SSDQ_CHECK(agree,
             "distillation loss got outputs of another shape from the student, the teacher and the "
             "data set; expected those of the same images and priors");
}

torch::Tensor indices(const torch::Tensor& mask) { return mask.flatten().nonzero().squeeze(1); }

double one_over_positives(const torch::Tensor& labels) {
  return 1.0 / static_cast<double>(std::max<int64_t>((labels > 0).sum().item<int64_t>(), 1));
}

// Sum of KL(teacher || student) over rows of logits [M, C].
torch::Tensor divergence(const torch::Tensor& student, const torch::Tensor& teacher,
                         ScoreFunction scores) {
  if (scores == ScoreFunction::kSoftmax) {
    return F::kl_div(torch::log_softmax(student, 1), torch::log_softmax(teacher, 1),
                     F::KLDivFuncOptions().reduction(torch::kSum).log_target(true));
  }
  const torch::Tensor s = student.slice(1, 1);
  const torch::Tensor t = teacher.slice(1, 1);
  const torch::Tensor yes = t.sigmoid() * (F::logsigmoid(t) - F::logsigmoid(s));
  const torch::Tensor no = (-t).sigmoid() * (F::logsigmoid(-t) - F::logsigmoid(-s));
  return (yes + no).sum();
}

// [N, C, H, W] -> [N, H * W], each row of norm 1, or 0 for a feature that is 0 everywhere.
torch::Tensor attention(const torch::Tensor& feature) {
  return F::normalize(at_least_float(feature).square().sum(1).flatten(1),
                      F::NormalizeFuncOptions().p(2).dim(1));
}

}  // namespace

torch::Tensor logit_distillation(const torch::Tensor& student, const torch::Tensor& teacher,
                                 const torch::Tensor& labels, double neg_pos_ratio,
                                 double temperature, ScoreFunction scores) {
  check_shapes(student, teacher, labels);
  const torch::Tensor wide = at_least_float(student);
  const torch::Tensor target = constant(teacher, wide);
  const torch::Tensor counted = indices(counted_priors(target, labels, neg_pos_ratio, scores));
  const auto rows = [&](const torch::Tensor& logits) {
    return logits.flatten(0, 1).index_select(0, counted) / temperature;
  };
  return divergence(rows(wide), rows(target), scores) *
         (temperature * temperature * one_over_positives(labels));
}

torch::Tensor box_distillation(const torch::Tensor& student, const torch::Tensor& teacher,
                               const torch::Tensor& labels) {
  check_shapes(student, teacher, labels);
  const torch::Tensor wide = at_least_float(student);
  const torch::Tensor located = indices(labels > 0);
  return F::smooth_l1_loss(wide.flatten(0, 1).index_select(0, located),
                           constant(teacher, wide).flatten(0, 1).index_select(0, located),
                           F::SmoothL1LossFuncOptions(torch::kSum).beta(1.0)) *
         one_over_positives(labels);
}

torch::Tensor attention_distillation(const std::vector<torch::Tensor>& student,
                                     const std::vector<torch::Tensor>& teacher) {
  SSDQ_CHECK(!student.empty() && student.size() == teacher.size(),
             "attention loss got features of {} levels from the student and of {} from the teacher",
             student.size(), teacher.size());
  torch::Tensor sum;
  for (size_t level = 0; level < student.size(); ++level) {
    const torch::Tensor ours = attention(student[level]);
    const torch::Tensor theirs = constant(attention(teacher[level]), ours);
    SSDQ_CHECK(ours.sizes() == theirs.sizes(),
               "attention loss got maps of another size or number from the student and the teacher "
               "at level {}",
               level);
    const torch::Tensor distance = (ours - theirs).norm(2, 1).mean();
    sum = sum.defined() ? sum + distance : distance;
  }
  return sum / static_cast<double>(student.size());
}

}  // namespace ssdq
