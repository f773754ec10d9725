#include "ssdq/quantization/ranged_quantizer.h"

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {

RangedQuantizerImpl::RangedQuantizerImpl(TensorSpec spec) : QuantizerImpl(std::move(spec)) {
  observed_ = register_buffer("observed", torch::zeros({}, torch::kLong));
  width_ = register_buffer("width", torch::full({}, this->spec().bits, torch::kLong));
}

void RangedQuantizerImpl::set_bits(int bits) {
  const auto width = static_cast<int>(width_.item<int64_t>());
  if (width != bits) {
    const torch::NoGradGuard no_grad;
    convert(width, bits);
    width_.fill_(bits);
  }
  QuantizerImpl::set_bits(bits);
}

bool RangedQuantizerImpl::has_range() const {
  has_range_ = has_range_ || observed_.item<int64_t>() > 0;
  return has_range_;
}

void RangedQuantizerImpl::require_range() const {
  SSDQ_CHECK(has_range(),
             "{}: the quantizer has seen no data yet, so it has no range; train, or evaluate a "
             "checkpoint of a quantized model",
             spec().node);
}

void RangedQuantizerImpl::count_observation() { observed_.add_(1); }

double RangedQuantizerImpl::observation_weight() const {
  return 1 / static_cast<double>(observed_.item<int64_t>());
}

}  // namespace ssdq
