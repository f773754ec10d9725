#include "ssdq/quantization/quantizer.h"

#include <torch/torch.h>

namespace ssdq {

torch::Tensor QuantizerImpl::forward(const torch::Tensor& x) {
  if (is_training() && mode_.observe) {
    const torch::NoGradGuard no_grad;
    observe(x.detach());
  }
  return mode_.quantize ? quantize(x) : x;
}

}  // namespace ssdq
