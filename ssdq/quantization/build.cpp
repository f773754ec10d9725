#include "ssdq/quantization/build.h"

#include <map>
#include <utility>

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

QuantizationMethods quantization_methods(const QuantizerRegistry& registry,
                                         const QuantizationConfig& config) {
  if (!quantization_enabled(config)) return {};
  using Made = std::map<std::pair<std::string, Options>, std::shared_ptr<const QuantizationMethod>>;
  const auto made = std::make_shared<Made>();
  return [&registry, config, made](const std::string& type, const Options& options) {
    std::shared_ptr<const QuantizationMethod>& method = (*made)[{type, options}];
    if (!method) {
      QuantizationConfig own = config;
      own.type = type;
      own.options = options;
      method = registry.create(type, own);
    }
    return method;
  };
}

}  // namespace ssdq
