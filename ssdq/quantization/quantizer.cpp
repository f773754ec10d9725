#include "ssdq/quantization/quantizer.h"

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {

torch::Tensor QuantizerImpl::forward(const torch::Tensor& x) {
  try {
    if (is_training() && mode_.observe) {
      const torch::NoGradGuard no_grad;
      observe(x.detach());
    }
    return mode_.quantize ? quantize(x) : x;
  } catch (const NonFinite& error) {
    refuse(error);
  }
}

Observation QuantizerImpl::wanted() const {
  return is_training() && mode_.observe ? observation() : Observation::kNothing;
}

void QuantizerImpl::show_extremes(const torch::Tensor& min, const torch::Tensor& max) {
  const torch::NoGradGuard no_grad;
  follow(min, max);
}

std::optional<FakeQuantization> QuantizerImpl::function(c10::IntArrayRef sizes) {
  return mode_.quantize ? affine(sizes) : std::nullopt;
}

void QuantizerImpl::refuse(const NonFinite& error) const {
  fail("{}: a tensor to quantize {}; lower SOLVER.LR or set SOLVER.CLIP_GRADIENTS", spec_.node,
       error.what());
}

}  // namespace ssdq
