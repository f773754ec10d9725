#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace ssdq {

// The part of ONNX's ModelProto that exporters need, as plain structs; no LibTorch and no protobuf
// library, whose versions would clash with LibTorch's own.

// Element types by their number in TensorProto.DataType.
enum class OnnxType { kFloat = 1, kUint8 = 2, kInt8 = 3, kInt32 = 6, kInt64 = 7 };

struct OnnxTensor {
  std::string name;
  OnnxType type = OnnxType::kFloat;
  std::vector<int64_t> dims;  // empty: a scalar
  std::string data;           // elements, row-major, little-endian
};

struct OnnxAttribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>> value;

  static OnnxAttribute integer(std::string name, int64_t value);
  static OnnxAttribute integers(std::string name, std::vector<int64_t> value);
  static OnnxAttribute real(std::string name, double value);
  static OnnxAttribute text(std::string name, std::string value);
};

// An input or output left out is an empty name.
struct OnnxNode {
  std::string op_type;
  std::string name;
  std::vector<std::string> inputs, outputs;
  std::vector<OnnxAttribute> attributes;
};

// A number, or the name of a size that is known when the model runs.
using OnnxDim = std::variant<int64_t, std::string>;

struct OnnxValueInfo {
  std::string name;
  OnnxType type = OnnxType::kFloat;
  std::vector<OnnxDim> dims;
};

struct OnnxModel {
  int64_t ir_version = 8;
  int64_t opset = 17;  // of the default domain
  std::string producer_name, producer_version;
  std::string graph_name;
  std::vector<OnnxNode> nodes;  // in topological order
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxValueInfo> inputs, outputs;
  std::map<std::string, std::string> metadata;
};

// Largest file that readers of protocol buffers accept.
constexpr uint64_t kMaxOnnxBytes = (uint64_t{1} << 31U) - 1;

// The bytes of an .onnx file. Throws Error when they would be more than `max_bytes`.
std::string serialize(const OnnxModel& model, uint64_t max_bytes = kMaxOnnxBytes);

// Adds nodes and constants to a model. Names of values are unique; a name used twice throws Error.
class OnnxBuilder {
 public:
  explicit OnnxBuilder(int64_t opset) { model.opset = opset; }

  int64_t opset() const { return model.opset; }

  // Adds a node with one output, named like the node, and returns that name.
  std::string node(const std::string& op_type, const std::string& name,
                   std::vector<std::string> inputs, std::vector<OnnxAttribute> attributes = {});

  // Adds a node with the outputs `names`; the first names the node.
  void node_of(const std::string& op_type, std::vector<std::string> names,
               std::vector<std::string> inputs, std::vector<OnnxAttribute> attributes);

  // Initializers; they return `name`. `values` holds as many numbers as `dims` multiply to.
  std::string floats(const std::string& name, std::vector<int64_t> dims,
                     const std::vector<float>& values);
  std::string int64s(const std::string& name, std::vector<int64_t> dims,
                     const std::vector<int64_t>& values);
  std::string int32s(const std::string& name, std::vector<int64_t> dims,
                     const std::vector<int32_t>& values);
  std::string int8s(const std::string& name, std::vector<int64_t> dims,
                    const std::vector<int8_t>& values);
  std::string uint8s(const std::string& name, std::vector<int64_t> dims,
                     const std::vector<uint8_t>& values);
  std::string scalar(const std::string& name, double value);

  std::string input(const std::string& name, OnnxType type, std::vector<OnnxDim> dims);
  void output(const std::string& name, OnnxType type, std::vector<OnnxDim> dims);

  OnnxModel model;

 private:
  template <typename T>
  std::string tensor(const std::string& name, OnnxType type, std::vector<int64_t> dims,
                     const std::vector<T>& values);
  void claim(const std::string& name);

  std::set<std::string> names_;  // of all values
};

}  // namespace ssdq
