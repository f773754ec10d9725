#pragma once

#include <string>
#include <vector>

#include "ssdq/export/float_tensors.h"
#include "ssdq/export/onnx_file.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// The tensors that a float network of this graph needs, by the names of its modules, with their
// shapes and no values.
FloatTensors expected_tensors(const Graph& graph);

// What differs in a quantized network.
class OnnxQuantizer {
 public:
  virtual ~OnnxQuantizer() = default;

  // The value that input `k` of node `id` reads in place of `value`.
  virtual std::string input(NodeId id, size_t k, const std::string& value) = 0;
  // Adds the convolution of a node, which has the operator's `attributes`, with its batch norm and
  // without its activation; `x` is what input() gave.
  virtual std::string conv(const Node& node, const std::string& x,
                           std::vector<OnnxAttribute> attributes) = 0;
};

// Adds the nodes of `graph` in FP32 with `weights`, which holds expected_tensors(), and returns the
// name of the value of each graph node, [N, channels, H, W]. `input` is that of the image. Batch
// norms are folded into the convolutions before them, in double precision; all else computes
// what the modules do, in operators of opset 11 to 19. With a `quantizer` convolutions are its, and
// `weights` need not have their tensors.
std::vector<std::string> add_graph(OnnxBuilder& onnx, const Graph& graph,
                                   const FloatTensors& weights, const std::string& input,
                                   OnnxQuantizer* quantizer = nullptr);

// Adds an activation after the value `x`, as nodes whose names begin with `name`; returns the name
// of the result, `x` itself for kLinear.
std::string add_activation(OnnxBuilder& onnx, const std::string& name, const std::string& x,
                           Activation activation, double leaky_slope = 0.1);

}  // namespace ssdq
