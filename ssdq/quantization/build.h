#pragma once

#include <memory>

#include "ssdq/quantization/registry.h"

namespace ssdq {

// The methods that come with SSDQ.
void register_quantizers(QuantizerRegistry& registry);

// Makes the methods that a plan names: `config` with the plan's type and options, one method for
// each of the two. Empty when quantization is not enabled. Keeps a reference to `registry`.
QuantizationMethods quantization_methods(const QuantizerRegistry& registry,
                                         const QuantizationConfig& config);

}  // namespace ssdq
