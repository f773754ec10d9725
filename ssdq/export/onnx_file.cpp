#include "ssdq/export/onnx_file.h"

#include <functional>
#include <numeric>
#include <type_traits>
#include <utility>

#include "ssdq/export/protobuf_writer.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// AttributeProto.AttributeType.
enum AttributeType {
  kRealAttribute = 1,
  kIntegerAttribute,
  kTextAttribute,
  kRealsAttribute = 6,
  kIntegersAttribute
};

ProtobufWriter encode(const OnnxAttribute& attribute) {
  ProtobufWriter out;
  out.bytes(1, attribute.name);
  AttributeType type{};
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, float>) {
          type = kRealAttribute;
          out.real(2, value);
        } else if constexpr (std::is_same_v<T, int64_t>) {
          type = kIntegerAttribute;
          out.integer(3, value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          type = kTextAttribute;
          out.bytes(4, value);
        } else if constexpr (std::is_same_v<T, std::vector<float>>) {
          type = kRealsAttribute;
          for (const float one : value) out.real(7, one);
        } else {
          type = kIntegersAttribute;
          for (const int64_t one : value) out.integer(8, one);
        }
      },
      attribute.value);
  out.integer(20, type);
  return out;
}

ProtobufWriter encode(const OnnxNode& node) {
  ProtobufWriter out;
  for (const auto& input : node.inputs) out.bytes(1, input);
  for (const auto& output : node.outputs) out.bytes(2, output);
  out.bytes(3, node.name);
  out.bytes(4, node.op_type);
  for (const auto& attribute : node.attributes) out.message(5, encode(attribute));
  return out;
}

ProtobufWriter encode(const OnnxTensor& tensor) {
  ProtobufWriter out;
  out.reserve(tensor.data.size() + tensor.name.size() + 64);
  for (const int64_t dim : tensor.dims) out.integer(1, dim);
  out.integer(2, static_cast<int64_t>(tensor.type));
  out.bytes(8, tensor.name);
  out.bytes(9, tensor.data);
  return out;
}

ProtobufWriter encode(const OnnxValueInfo& info) {
  ProtobufWriter shape;
  for (const OnnxDim& dim : info.dims) {
    ProtobufWriter one;
    if (const auto* value = std::get_if<int64_t>(&dim)) {
      one.integer(1, *value);
    } else {
      one.bytes(2, std::get<std::string>(dim));
    }
    shape.message(1, one);
  }
  ProtobufWriter tensor;
  tensor.integer(1, static_cast<int64_t>(info.type));
  tensor.message(2, shape);
  ProtobufWriter type;
  type.message(1, tensor);
  ProtobufWriter out;
  out.bytes(1, info.name);
  out.message(2, type);
  return out;
}

uint64_t data_bytes(const OnnxModel& model) {
  return std::accumulate(
      model.initializers.begin(), model.initializers.end(), uint64_t{0},
      [](uint64_t sum, const OnnxTensor& tensor) { return sum + tensor.data.size(); });
}

ProtobufWriter encode_graph(const OnnxModel& model) {
  ProtobufWriter out;
  out.reserve(data_bytes(model) + 200 * (model.nodes.size() + model.initializers.size()));
  for (const auto& node : model.nodes) out.message(1, encode(node));
  out.bytes(2, model.graph_name);
  for (const auto& tensor : model.initializers) out.message(5, encode(tensor));
  for (const auto& info : model.inputs) out.message(11, encode(info));
  for (const auto& info : model.outputs) out.message(12, encode(info));
  return out;
}

void check_bytes(uint64_t bytes, uint64_t max_bytes) {
  SSDQ_CHECK(bytes <= max_bytes,
             "the model takes {} bytes as ONNX, more than the {} that its readers accept in one "
             "file; export it in another format",
             bytes, max_bytes);
}

}  // namespace

std::string serialize(const OnnxModel& model, uint64_t max_bytes) {
  check_bytes(data_bytes(model), max_bytes);
  ProtobufWriter out;
  out.integer(1, model.ir_version);
  out.bytes(2, model.producer_name);
  out.bytes(3, model.producer_version);
  {
    const ProtobufWriter graph = encode_graph(model);
    out.reserve(graph.text().size() + 4096);
    out.message(7, graph);
  }
  ProtobufWriter opset;
  opset.bytes(1, "");
  opset.integer(2, model.opset);
  out.message(8, opset);
  for (const auto& [key, value] : model.metadata) {
    ProtobufWriter entry;
    entry.bytes(1, key);
    entry.bytes(2, value);
    out.message(14, entry);
  }
  check_bytes(out.text().size(), max_bytes);
  return out.take();
}

OnnxAttribute OnnxAttribute::integer(std::string name, int64_t value) {
  return {std::move(name), value};
}
OnnxAttribute OnnxAttribute::integers(std::string name, std::vector<int64_t> value) {
  return {std::move(name), std::move(value)};
}
OnnxAttribute OnnxAttribute::real(std::string name, double value) {
  return {std::move(name), static_cast<float>(value)};
}
OnnxAttribute OnnxAttribute::text(std::string name, std::string value) {
  return {std::move(name), std::move(value)};
}

void OnnxBuilder::claim(const std::string& name) {
  SSDQ_CHECK(names_.insert(name).second, "two values of the ONNX model are named '{}'", name);
}

std::string OnnxBuilder::node(const std::string& op_type, const std::string& name,
                              std::vector<std::string> inputs,
                              std::vector<OnnxAttribute> attributes) {
  node_of(op_type, {name}, std::move(inputs), std::move(attributes));
  return name;
}

void OnnxBuilder::node_of(const std::string& op_type, std::vector<std::string> names,
                          std::vector<std::string> inputs, std::vector<OnnxAttribute> attributes) {
  for (const auto& name : names) claim(name);
  const std::string node_name = names.front();
  model.nodes.push_back(
      {op_type, node_name, std::move(inputs), std::move(names), std::move(attributes)});
}

template <typename T>
std::string OnnxBuilder::tensor(const std::string& name, OnnxType type, std::vector<int64_t> dims,
                                const std::vector<T>& values) {
  claim(name);
  const int64_t count = std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
  SSDQ_CHECK(count == static_cast<int64_t>(values.size()),
             "ONNX constant '{}': {} values for a shape of {}", name, values.size(), count);
  std::string data(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  model.initializers.push_back({name, type, std::move(dims), std::move(data)});
  return name;
}

std::string OnnxBuilder::floats(const std::string& name, std::vector<int64_t> dims,
                                const std::vector<float>& values) {
  return tensor(name, OnnxType::kFloat, std::move(dims), values);
}
std::string OnnxBuilder::int64s(const std::string& name, std::vector<int64_t> dims,
                                const std::vector<int64_t>& values) {
  return tensor(name, OnnxType::kInt64, std::move(dims), values);
}
std::string OnnxBuilder::int32s(const std::string& name, std::vector<int64_t> dims,
                                const std::vector<int32_t>& values) {
  return tensor(name, OnnxType::kInt32, std::move(dims), values);
}
std::string OnnxBuilder::int8s(const std::string& name, std::vector<int64_t> dims,
                               const std::vector<int8_t>& values) {
  return tensor(name, OnnxType::kInt8, std::move(dims), values);
}
std::string OnnxBuilder::uint8s(const std::string& name, std::vector<int64_t> dims,
                                const std::vector<uint8_t>& values) {
  return tensor(name, OnnxType::kUint8, std::move(dims), values);
}

std::string OnnxBuilder::scalar(const std::string& name, double value) {
  return floats(name, {}, {static_cast<float>(value)});
}

std::string OnnxBuilder::input(const std::string& name, OnnxType type, std::vector<OnnxDim> dims) {
  claim(name);
  model.inputs.push_back({name, type, std::move(dims)});
  return name;
}

void OnnxBuilder::output(const std::string& name, OnnxType type, std::vector<OnnxDim> dims) {
  SSDQ_CHECK(names_.count(name) != 0, "no node makes the ONNX output '{}'", name);
  model.outputs.push_back({name, type, std::move(dims)});
}

}  // namespace ssdq
