#include "ssdq/export/integer_graph.h"

#include <fmt/format.h>

namespace ssdq {

InputCodes input_codes(const GraphModuleImpl& network) {
  std::map<std::string, const QuantizerImpl*> quantizers;
  for (const auto& item : network.named_modules("", false)) {
    if (const auto* quantizer = dynamic_cast<const QuantizerImpl*>(item.value().get())) {
      quantizers[item.key()] = quantizer;
    }
  }
  InputCodes codes;
  for (const Node& node : network.graph().nodes) {
    codes.emplace_back();
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      auto found = quantizers.find(node.name + ".input_quantizer");
      if (found == quantizers.end()) {
        found = quantizers.find(fmt::format("{}.input_quantizer_{}", node.name, k));
      }
      codes.back().push_back(found == quantizers.end()
                                 ? std::nullopt
                                 : std::optional<ActivationCode>(activation_code(*found->second)));
    }
  }
  return codes;
}

IntegerGraph integer_graph(GraphModuleImpl& network) {
  IntegerGraph result;
  for (const auto& [name, block] : network.convolutions()) {
    result.convolutions.emplace(name, integer_conv(*ConvBlock(block)));
  }
  result.inputs = input_codes(network);
  return result;
}

}  // namespace ssdq
