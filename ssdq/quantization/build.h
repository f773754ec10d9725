#pragma once

#include <memory>

#include "ssdq/quantization/registry.h"

namespace ssdq {

// The methods that come with SSDQ.
void register_quantizers(QuantizerRegistry& registry);

// The method that `config.type` names, or null for "none" and "no".
std::shared_ptr<QuantizationMethod> build_quantization_method(const QuantizerRegistry& registry,
                                                              const QuantizationConfig& config);

}  // namespace ssdq
