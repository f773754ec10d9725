#include "ssdq/export/onnx_qdq.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr int64_t kMostUnsigned = std::numeric_limits<uint8_t>::max();

std::vector<float> narrowed(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

// The ends of what the type of the codes holds.
std::pair<int64_t, int64_t> type_range(const CodeRange& range) {
  return range.is_signed ? std::pair<int64_t, int64_t>(-128, 127)
                         : std::pair<int64_t, int64_t>(0, kMostUnsigned);
}

// The zero point of QuantizeLinear, and what is taken from x before it and added behind it where
// the zero point of the code is not whole or not of the type.
struct ZeroPoint {
  int64_t whole = 0;
  double encode_offset = 0, offset = 0;
};

ZeroPoint zero_point_of(const ActivationCode& code) {
  const auto [least, most] = type_range(code.range);
  if (code.has_whole_zero() && code.zero_point >= static_cast<double>(least) &&
      code.zero_point <= static_cast<double>(most)) {
    return {static_cast<int64_t>(code.zero_point)};
  }
  return {0, -code.zero_point * code.encode_scale, -code.zero_point * code.scale};
}

int64_t group_of(const std::vector<OnnxAttribute>& attributes) {
  for (const OnnxAttribute& attribute : attributes) {
    if (attribute.name == "group") {
      return std::get<int64_t>(attribute.value);
    }
  }
  return 1;
}

std::vector<OnnxAttribute> first_axis() { return {OnnxAttribute::integer("axis", 0)}; }

}  // namespace

std::string QdqWriter::input(NodeId id, size_t k, const std::string& value) {
  const auto& code = integers_.inputs[id][k];
  if (!code) {
    return value;
  }
  const CodeRange& range = code->range;
  const Edge edge{value,      range.bits,  range.is_signed,    range.low,
                  range.high, code->scale, code->encode_scale, code->zero_point};
  const auto found = edges_.find(edge);
  if (found != edges_.end()) {
    return found->second;
  }
  const Node& node = graph_.nodes[id];
  SSDQ_CHECK(range.bits <= 8,
             "{}: its input has codes of {} bits; onnx-qdq needs ABITS of at most 8 (32: float)",
             node.name, range.bits);
  const std::string name =
      node.name + (node.inputs.size() == 1 ? ".input" : ".input_" + std::to_string(k));
  return edges_[edge] = quantized(name, value, *code);
}

std::string QdqWriter::zero_point(const std::string& name, bool is_signed, int64_t zero) {
  return is_signed ? onnx_.int8s(name, {}, {static_cast<int8_t>(zero)})
                   : onnx_.uint8s(name, {}, {static_cast<uint8_t>(zero)});
}

std::string QdqWriter::quantized(const std::string& name, const std::string& value,
                                 const ActivationCode& code) {
  const ZeroPoint zero = zero_point_of(code);
  std::string x = value;
  if (zero.encode_offset != 0) {
    x = onnx_.node("Sub", name + "/moved",
                   {x, onnx_.scalar(name + "/encode_offset", zero.encode_offset)});
  }
  if (std::pair(code.range.low, code.range.high) != type_range(code.range)) {
    const auto end = [&](int64_t at) {
      return code.encode_scale * static_cast<double>(at - zero.whole);
    };
    x = onnx_.node("Clip", name + "/clipped",
                   {x, onnx_.scalar(name + "/min", end(code.range.low)),
                    onnx_.scalar(name + "/max", end(code.range.high))});
  }
  const auto zeros = zero_point(name + "/zero_point", code.range.is_signed, zero.whole);
  const auto scale = onnx_.scalar(name + "/scale", code.encode_scale);
  const auto codes = onnx_.node("QuantizeLinear", name + "/codes", {x, scale, zeros});
  const auto back =
      code.scale == code.encode_scale ? scale : onnx_.scalar(name + "/value_scale", code.scale);
  if (zero.offset == 0) {
    return onnx_.node("DequantizeLinear", name, {codes, back, zeros});
  }
  const auto moved = onnx_.node("DequantizeLinear", name + "/values", {codes, back, zeros});
  return onnx_.node("Add", name, {moved, onnx_.scalar(name + "/offset", zero.offset)});
}

std::string QdqWriter::weight(const Node& node, const IntegerConv& conv, const Int8Weight& codes) {
  const std::string name = node.name + ".weight";
  const int64_t channels = conv.shape[0];
  const auto scale = onnx_.floats(name + "/scale", {channels}, narrowed(codes.scale));
  const auto zeros =
      onnx_.int8s(name + "/zero_point", {channels}, std::vector<int8_t>(codes.scale.size()));
  return onnx_.node("DequantizeLinear", name + "/values",
                    {onnx_.int8s(name, conv.shape, codes.codes), scale, zeros}, first_axis());
}

std::string QdqWriter::bias(const Node& node, const IntegerConv& conv,
                            const std::vector<double>& scale) {
  const std::string name = node.name + ".bias";
  const int64_t channels = conv.shape[0];
  if (!conv.is_integer()) {
    return onnx_.floats(name, {channels}, narrowed(conv.real_bias));
  }
  std::vector<double> steps;
  std::vector<int32_t> codes;
  for (size_t c = 0; c < scale.size(); ++c) {
    steps.push_back(conv.input->scale * scale[c]);
    codes.push_back(static_cast<int32_t>(std::nearbyint(conv.real_bias[c] / steps[c])));
  }
  return onnx_.node("DequantizeLinear", name + "/values",
                    {onnx_.int32s(name, {channels}, codes),
                     onnx_.floats(name + "/scale", {channels}, narrowed(steps))},
                    first_axis());
}

std::string QdqWriter::with_window(const std::string& name, const std::string& y,
                                   const std::string& x, const IntegerConv& conv,
                                   const std::vector<double>& factors,
                                   std::vector<OnnxAttribute> attributes) {
  const int64_t groups = group_of(attributes), channels = conv.shape[0];
  const std::vector<int64_t> shape = {groups, conv.shape[1], conv.shape[2], conv.shape[3]};
  const auto count = static_cast<size_t>(groups * shape[1] * shape[2] * shape[3]);
  const auto ones = onnx_.node(
      "DequantizeLinear", name + "/ones/values",
      {onnx_.int8s(name + "/ones", shape, std::vector<int8_t>(count, 1)),
       onnx_.scalar(name + "/ones/scale", 1), zero_point(name + "/ones/zero_point", true, 0)});
  auto sums = onnx_.node("Conv", name + "/window", {x, ones}, std::move(attributes));
  if (groups > 1 && groups < channels) {
    std::vector<int64_t> group(static_cast<size_t>(channels));
    for (int64_t c = 0; c < channels; ++c) {
      group[static_cast<size_t>(c)] = c * groups / channels;
    }
    sums = onnx_.node("Gather", name + "/window/channels",
                      {sums, onnx_.int64s(name + "/window/groups", {channels}, group)},
                      {OnnxAttribute::integer("axis", 1)});
  }
  const auto factor = onnx_.floats(name + "/window/factor", {1, channels, 1, 1}, narrowed(factors));
  return onnx_.node("Add", name + "/shifted",
                    {y, onnx_.node("Mul", name + "/window/term", {sums, factor})});
}

std::string QdqWriter::conv(const Node& node, const std::string& x,
                            std::vector<OnnxAttribute> attributes) {
  const IntegerConv& conv = integers_.convolutions.at(node.name);
  if (!conv.weight) {
    return onnx_.node("Conv", node.name,
                      {x, onnx_.floats(node.name + ".weight", conv.shape, conv.real_weight),
                       bias(node, conv, {})},
                      std::move(attributes));
  }
  const Int8Weight codes = int8_weight(conv, node.name);
  std::vector<std::string> inputs = {x, weight(node, conv, codes)};
  // ONNX Runtime itself rounds a float bias beside codes, but not an addition.
  const bool adds_bias = float_bias_ && conv.is_integer();
  if (!adds_bias) {
    inputs.push_back(bias(node, conv, codes.scale));
  }
  std::string y = onnx_.node("Conv", node.name, std::move(inputs), attributes);
  if (adds_bias) {
    const auto real =
        onnx_.floats(node.name + ".bias", {1, conv.shape[0], 1, 1}, narrowed(conv.real_bias));
    y = onnx_.node("Add", node.name + "/biased", {y, real});
  }
  return codes.has_window()
             ? with_window(node.name, y, x, conv, codes.window, std::move(attributes))
             : y;
}

}  // namespace ssdq
