#include "ssdq/engine/output_difference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <torch/torch.h>

namespace ssdq {
namespace {

double relative(const torch::Tensor& a, const torch::Tensor& b) {
  const double largest = std::max(a.abs().max().item<double>(), 1e-12);
  const double difference = (a - b).abs().max().item<double>() / largest;
  return std::isfinite(difference) ? difference : std::numeric_limits<double>::infinity();
}

}  // namespace

double output_difference(const DetectorOutput& a, const DetectorOutput& b) {
  return std::max(relative(a.class_logits, b.class_logits),
                  relative(a.box_regression, b.box_regression));
}

}  // namespace ssdq
