#include "ssdq/quantization/quantizer.h"

#include <torch/torch.h>

#include "ssdq/quantization/fake_quantize.h"
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
    fail("{}: a tensor to quantize {}; lower SOLVER.LR or set SOLVER.CLIP_GRADIENTS", spec_.node,
         error.what());
  }
}

}  // namespace ssdq
