#include "ssdq/layers/multibox_loss.h"

#include <algorithm>

#include <torch/nn/functional.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace F = torch::nn::functional;

torch::Tensor at_least_float(const torch::Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
}

void check_shapes(const torch::Tensor& logits, const torch::Tensor& boxes,
                  const torch::Tensor& labels, const torch::Tensor& targets) {
  SSDQ_CHECK(logits.dim() == 3 && logits.size(2) >= 2,
             "multibox loss got {} logit dimensions; expected [N, P, C] with "
             "at least two classes",
             logits.dim());
  const int64_t images = logits.size(0);
  const int64_t priors = logits.size(1);
  const bool agree = labels.sizes() == torch::IntArrayRef({images, priors}) &&
                     boxes.sizes() == torch::IntArrayRef({images, priors, 4}) &&
                     targets.sizes() == boxes.sizes();
  SSDQ_CHECK(agree,
             "multibox loss got logits for {} images and {} priors, but boxes, labels or targets "
             "of another number: make "
             "the priors of the data set and of the network the same",
             images, priors);
}

// What a prior's classification costs if it is background, [N, P].
torch::Tensor background_loss(const torch::Tensor& logits, ScoreFunction scores) {
  if (scores == ScoreFunction::kSoftmax) {
    return -torch::log_softmax(logits, 2).select(2, 0);
  }
  // -log(1 - sigmoid(x)) = softplus(x)
  return F::softplus(logits.slice(2, 1)).sum(2);
}

// Sum of the losses of the rows of `logits` [M, C].
torch::Tensor class_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                         ScoreFunction scores) {
  if (scores == ScoreFunction::kSoftmax) {
    return F::cross_entropy(logits, labels, F::CrossEntropyFuncOptions().reduction(torch::kSum));
  }
  const torch::Tensor targets = torch::zeros_like(logits).scatter_(1, labels.unsqueeze(1), 1);
  return F::binary_cross_entropy_with_logits(
      logits.slice(1, 1), targets.slice(1, 1),
      F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kSum));
}

// True where a prior is a hard negative of its image. `hardness` [N, P] is its background_loss.
torch::Tensor hard_negatives(const torch::Tensor& hardness, const torch::Tensor& positive,
                             double neg_pos_ratio) {
  const torch::Tensor num_positive = positive.sum(1, /*keepdim=*/true);
  const torch::Tensor num_negative =
      torch::minimum((num_positive.to(torch::kFloat64) * neg_pos_ratio).ceil().to(torch::kInt64),
                     hardness.size(1) - num_positive);
  const auto most = num_negative.max().item<int64_t>();
  if (most == 0) {
    return torch::zeros_like(positive);
  }
  const torch::Tensor ranked = hardness.masked_fill(positive, -1);
  const torch::Tensor best = std::get<0>(ranked.topk(most, 1));
  const torch::Tensor cut = best.gather(1, (num_negative - 1).clamp_min(0));
  const torch::Tensor above = ranked > cut;
  const torch::Tensor equal = ranked == cut;
  const torch::Tensor room = num_negative - above.sum(1, true);
  const torch::Tensor chosen = above.logical_or(equal.logical_and(equal.cumsum(1) <= room));
  return chosen.logical_and(num_negative > 0);
}

}  // namespace

torch::Tensor counted_priors(const torch::Tensor& logits, const torch::Tensor& labels,
                             double neg_pos_ratio, ScoreFunction scores) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor positive = labels > 0;
  const torch::Tensor hardness = background_loss(at_least_float(logits), scores);
  return hard_negatives(hardness, positive, neg_pos_ratio)
      .logical_or_(positive)
      .logical_or_(hardness.isnan());
}

MultiBoxLoss multibox_loss(const torch::Tensor& logits, const torch::Tensor& boxes,
                           const torch::Tensor& labels, const torch::Tensor& targets,
                           double neg_pos_ratio, ScoreFunction scores,
                           std::optional<int64_t> divisor) {
  check_shapes(logits, boxes, labels, targets);
  const torch::Tensor wide = at_least_float(logits);
  const torch::Tensor classified =
      counted_priors(wide, labels, neg_pos_ratio, scores).flatten().nonzero().squeeze(1);
  const torch::Tensor located = (labels > 0).flatten().nonzero().squeeze(1);
  const int64_t num_positive = located.size(0);
  const auto scale =
      1.0 / static_cast<double>(std::max<int64_t>(divisor.value_or(num_positive), 1));

  MultiBoxLoss loss;
  loss.num_positive = num_positive;
  loss.classification = class_loss(wide.flatten(0, 1).index_select(0, classified),
                                   labels.flatten().index_select(0, classified), scores) *
                        scale;
  loss.localization =
      F::smooth_l1_loss(at_least_float(boxes).flatten(0, 1).index_select(0, located),
                        at_least_float(targets).flatten(0, 1).index_select(0, located),
                        F::SmoothL1LossFuncOptions(torch::kSum).beta(1.0)) *
      scale;
  return loss;
}

torch::Tensor count_positives(const torch::Tensor& labels) { return (labels > 0).sum(); }

}  // namespace ssdq
