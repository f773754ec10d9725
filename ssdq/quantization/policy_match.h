#pragma once

#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// Can a quantizer be put into the node: a convolution, or an add or concat of several inputs.
bool is_quantizable(const Node& node);

// Whether a rule's MATCH names the node or its kind.
bool rule_matches(const QuantizationRule& rule, const Node& node);

// Throws ConfigError naming the first rule that matches no quantizable node.
void check_rules(const Graph& graph, const std::vector<QuantizationRule>& rules);

}  // namespace ssdq
