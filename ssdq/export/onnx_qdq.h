#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "ssdq/export/int8_weight.h"
#include "ssdq/export/integer_graph.h"
#include "ssdq/export/onnx_graph.h"

namespace ssdq {

// Adds the quantized parts of a network as pairs of QuantizeLinear and DequantizeLinear: int8 or
// uint8 codes by tensor on the edges, int8 weights and int32 biases by channel (or float biases,
// added behind). For operator sets from 13. Its functions throw Error naming the node whose codes
// need more than 8 bits.
class QdqWriter : public OnnxQuantizer {
 public:
  QdqWriter(OnnxBuilder& onnx, const Graph& graph, const IntegerGraph& integers, bool float_bias)
      : onnx_(onnx), graph_(graph), integers_(integers), float_bias_(float_bias) {}

  // Readers of a value that agree on its codes share one pair.
  std::string input(NodeId id, size_t k, const std::string& value) override;
  std::string conv(const Node& node, const std::string& x,
                   std::vector<OnnxAttribute> attributes) override;

 private:
  std::string quantized(const std::string& name, const std::string& value,
                        const ActivationCode& code);
  std::string zero_point(const std::string& name, bool is_signed, int64_t zero);
  std::string weight(const Node& node, const IntegerConv& conv, const Int8Weight& codes);
  std::string bias(const Node& node, const IntegerConv& conv, const std::vector<double>& scale);
  std::string with_window(const std::string& name, const std::string& y, const std::string& x,
                          const IntegerConv& conv, const std::vector<double>& factors,
                          std::vector<OnnxAttribute> attributes);

  // Value, bits, signed, low, high, scales and zero point.
  using Edge = std::tuple<std::string, int, bool, int64_t, int64_t, double, double, double>;

  OnnxBuilder& onnx_;
  const Graph& graph_;
  const IntegerGraph& integers_;
  const bool float_bias_;
  std::map<Edge, std::string> edges_;
};

}  // namespace ssdq
