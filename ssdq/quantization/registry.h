#pragma once

#include "ssdq/config/config.h"
#include "ssdq/quantization/quantizer.h"
#include "ssdq/utils/registry.h"

namespace ssdq {

// Quantization methods by the name that QUANTIZATION.TYPE gives.
class QuantizerRegistry : public Registry<QuantizationMethod, const QuantizationConfig&> {
 public:
  QuantizerRegistry() : Registry("QUANTIZATION.TYPE") {}
};

}  // namespace ssdq
