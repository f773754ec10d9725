#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq {

// Of one image. Parameters are what training learns: convolution weights and biases, BN scales and
// shifts, L2Norm scales; running statistics are not counted. MACs are the multiply-adds of
// convolutions and squeeze-excite layers, a padded border counted as computed.
struct NodeCost {
  std::string name;
  std::string kind;
  Shape output;
  std::int64_t params = 0;
  std::int64_t macs = 0;
  std::int64_t outputs = 0;  // elements of the output
};

struct Cost {
  std::vector<NodeCost> nodes;  // in node order
  std::int64_t params = 0;
  std::int64_t macs = 0;
  std::int64_t outputs = 0;  // sum over the nodes, Output nodes left out: they copy nothing
};

Cost cost(const Graph& graph);

// A row for each node with parameters or MACs, and the totals.
std::string cost_table(const Cost& cost);

}  // namespace ssdq
