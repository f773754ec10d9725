#include "ssdq/quantization/build.h"

#include "ssdq/quantization/dorefa_quantizer.h"
#include "ssdq/quantization/policy.h"

namespace ssdq {

void register_quantizers(QuantizerRegistry& registry) {
  registry.add("dorefa", "DoReFa-Net: tanh-normalised weights, clipped activations, fixed ranges",
               make_dorefa);
}

std::shared_ptr<QuantizationMethod> build_quantization_method(const QuantizerRegistry& registry,
                                                              const QuantizationConfig& config) {
  return quantization_enabled(config) ? registry.create(config.type, config) : nullptr;
}

}  // namespace ssdq
