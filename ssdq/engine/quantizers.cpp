#include "ssdq/engine/quantizers.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {

std::vector<NamedQuantizer> quantizers_of(const torch::nn::Module& module) {
  std::vector<NamedQuantizer> found;
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    if (auto quantizer = std::dynamic_pointer_cast<QuantizerImpl>(item.value())) {
      const bool is_weight = item.key().find("weight_quantizer") != std::string::npos;
      found.push_back({item.key(), std::move(quantizer), is_weight});
    }
  }
  return found;
}

std::vector<NamedQuantizer> owners_of(const torch::nn::Module& module,
                                      const std::vector<std::string>& tensors) {
  const auto all = quantizers_of(module);
  std::vector<NamedQuantizer> owners;
  std::copy_if(all.begin(), all.end(), std::back_inserter(owners), [&](const auto& one) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const auto& tensor) { return starts_with(tensor, one.name + "."); });
  });
  return owners;
}

void copy_quantizer_settings(const torch::nn::Module& from, torch::nn::Module& to) {
  const auto sources = quantizers_of(from);
  const auto targets = quantizers_of(to);
  SSDQ_CHECK(sources.size() == targets.size(), "{} quantizers cannot take the settings of {}",
             targets.size(), sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    QuantizerImpl& target = *targets[i].quantizer;
    const int bits = sources[i].quantizer->spec().bits;
    if (target.spec().bits != bits) {
      target.set_bits(bits);
    }
    target.set_mode(sources[i].quantizer->mode());
  }
}

BatchNorms batch_norms_of(const torch::nn::Module& module) {
  BatchNorms found;
  for (const auto& child : module.modules(/*include_self=*/false)) {
    if (auto bn = std::dynamic_pointer_cast<torch::nn::BatchNorm2dImpl>(child)) {
      found.push_back(std::move(bn));
    }
  }
  return found;
}

}  // namespace ssdq
