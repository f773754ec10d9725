#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq {

// Code widths of one node; 32 is float.
struct CodeWidths {
  int weights = 32;
  int inputs = 32;
};

using WidthPlan = std::map<std::string, CodeWidths>;  // by node; what is not there is float

// Of one image. Parameters are what training learns: convolution weights and biases, BN scales and
// shifts, L2Norm scales; running statistics are not counted. MACs are the multiply-adds of
// convolutions and squeeze-excite layers, a padded border counted as computed; batch norm counts
// none, as it folds into the convolution, and FLOPs as usually given are twice the MACs. BOPs are
// MACs times the code widths of weight and input (Baskin et al., UNIQ, TOCS 2021, without their
// term for the accumulator).
//
// Weight bytes: the weights of convolutions packed at their width, a node's rounded up to whole
// bytes, and 4 for every other parameter. Output bytes: elements at the width in which the readers
// want them, the widest of them: a quantized node its input codes; a max pool, an upsampling or a
// route to one layer what their own readers want, since they keep the codes; all others, and the
// detector, float. Routes to one layer and Outputs copy nothing and take no bytes.
struct NodeCost {
  std::string name;
  std::string kind;
  Shape output;
  std::int64_t params = 0;
  std::int64_t macs = 0;
  std::int64_t outputs = 0;  // elements of the output
  std::int64_t weights = 0;  // parameters that have codes when the node is quantized
  CodeWidths widths;
  std::int64_t bops = 0;
  std::int64_t weight_bytes = 0;
  int output_bits = 32;
  std::int64_t output_bytes = 0;
  // Its output, its inputs, and earlier outputs that a later node reads or that are results.
  std::int64_t live_bytes = 0;
};

struct Cost {
  std::vector<NodeCost> nodes;  // in node order
  std::int64_t params = 0;
  std::int64_t macs = 0;
  std::int64_t outputs = 0;  // sum over the nodes, Output nodes left out: they copy nothing
  std::int64_t bops = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t output_bytes = 0;
  // Largest live_bytes when the nodes run one after another in their order, without workspace of
  // the kernels and without computing in place, and the first node where it is reached.
  std::int64_t peak_bytes = 0;
  NodeId peak_node = 0;
};

Cost cost(const Graph& graph, const WidthPlan& widths = {});

// A row for each node with parameters or MACs, and the totals.
std::string cost_table(const Cost& cost);

}  // namespace ssdq
