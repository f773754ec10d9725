#include "ssdq/quantization/build.h"

#include <map>
#include <utility>

#include "ssdq/quantization/bwn_quantizer.h"
#include "ssdq/quantization/dorefa_quantizer.h"
#include "ssdq/quantization/learned_step_quantizer.h"
#include "ssdq/quantization/lqnet_quantizer.h"
#include "ssdq/quantization/pact_quantizer.h"
#include "ssdq/quantization/policy.h"
#include "ssdq/quantization/range_quantizer.h"
#include "ssdq/quantization/tqt_quantizer.h"

namespace ssdq {

void register_quantizers(QuantizerRegistry& registry) {
  registry.add("dorefa", "DoReFa-Net: tanh-normalised weights, clipped activations, fixed ranges",
               make_dorefa);
  registry.add("uniform", "plain affine codes from the extremes; optionally power-of-two steps",
               make_uniform);
  registry.add("iao", "integer-arithmetic-only: weights folded with batch norm, moving ranges",
               make_iao);
  registry.add("bwn",
               "binary and ternary weights by channel, binary activations; widths count levels",
               make_bwn);
  registry.add("lsq", "learned step sizes", make_lsq);
  registry.add("lsq_plus", "learned step sizes, and offsets of activations", make_lsq_plus);
  registry.add("pact", "learned activation clips, DoReFa weights", make_pact);
  registry.add("tqt", "learned thresholds with power-of-two steps", make_tqt);
  registry.add("lqnet", "learned non-uniform levels", make_lqnet);
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
