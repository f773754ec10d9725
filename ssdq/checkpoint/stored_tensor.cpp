#include "ssdq/checkpoint/stored_tensor.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "ssdq/checkpoint/printable.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using Kind = PickleNode::Kind;

constexpr size_t kMaxDimensions = 64;
constexpr int kMaxWrappers = 8;

struct Call {
  std::string_view function;
  const std::vector<PickleId>* args = nullptr;
};

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

Call call_of(const Pickle& pickle, PickleId callable, PickleId args) {
  return {torch_name(pickle, callable), &pickle[args].items};
}

bool is_wrapper(std::string_view function) {
  return function == "Parameter" || function == "Buffer" || function == "Variable" ||
         function == "_rebuild_parameter" || function == "_rebuild_parameter_with_state";
}

[[noreturn]] void fail_damaged(const std::string& name, const char* what) {
  fail("damaged file: tensor '{}' {}", printable(name), what);
}

// The call that makes the tensor itself, out of those that make a parameter or subclass of it.
Call innermost_call(const Pickle& pickle, PickleId id, const std::string& name) {
  Call call = call_of(pickle, pickle[id].callable, pickle[id].args);
  for (int i = 0; i < kMaxWrappers; ++i) {
    if (is_wrapper(call.function) && !call.args->empty()) {
      const PickleNode& inner = pickle[call.args->front()];
      call = call_of(pickle, inner.callable, inner.args);
    } else if (call.function == "_rebuild_from_type_v2" && call.args->size() >= 3) {
      call = call_of(pickle, (*call.args)[0], (*call.args)[2]);
    } else {
      return call;
    }
  }
  fail_damaged(name, "is wrapped too often");
}

int64_t read_integer(const Pickle& pickle, PickleId id, const std::string& name) {
  if (pickle[id].kind != Kind::kInt || pickle[id].integer < 0) {
    fail_damaged(name, "has a size, stride or offset that is no whole number");
  }
  return pickle[id].integer;
}

std::vector<int64_t> read_integers(const Pickle& pickle, PickleId id, const std::string& name) {
  if (torch_name(pickle, pickle[id].callable) == "Size" &&
      pickle[pickle[id].args].items.size() == 1) {
    id = pickle[pickle[id].args].items[0];
  }
  const PickleNode& list = pickle[id];
  if ((list.kind != Kind::kTuple && list.kind != Kind::kList) ||
      list.items.size() > kMaxDimensions) {
    fail_damaged(name, "has a shape that is none");
  }
  std::vector<int64_t> values;
  for (const PickleId item : list.items) {
    values.push_back(read_integer(pickle, item, name));
  }
  return values;
}

ElementType type_named(std::string_view dtype, const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, ElementType>, 16> kNames{{
      {"bool", ElementType::kBool},
      {"int8", ElementType::kInt8},
      {"uint8", ElementType::kUInt8},
      {"int16", ElementType::kInt16},
      {"short", ElementType::kInt16},
      {"int32", ElementType::kInt32},
      {"int", ElementType::kInt32},
      {"int64", ElementType::kInt64},
      {"long", ElementType::kInt64},
      {"float16", ElementType::kFloat16},
      {"half", ElementType::kFloat16},
      {"bfloat16", ElementType::kBFloat16},
      {"float32", ElementType::kFloat32},
      {"float", ElementType::kFloat32},
      {"float64", ElementType::kFloat64},
      {"double", ElementType::kFloat64},
  }};
  for (const auto& [known, type] : kNames) {
    if (known == dtype) {
      return type;
    }
  }
  fail("tensor '{}' has the type '{}', which SSDQ does not read", printable(name),
       printable(dtype));
}

bool multiply_add(int64_t a, int64_t b, int64_t& sum) {
  int64_t product = 0;
  return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(sum, product, &sum);
}

// Also what torch::empty needs: the product of the dimensions other than 0 fits an int64.
void check_within(const StoredTensor& tensor, int64_t elements) {
  int64_t product = 1;
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    const int64_t size = tensor.shape[i];
    if (__builtin_mul_overflow(product, std::max<int64_t>(size, 1), &product) ||
        product > std::numeric_limits<int64_t>::max() / 16) {
      fail_damaged(tensor.name, "is larger than any memory");
    }
    if (size > 0 && !multiply_add(size - 1, tensor.strides[i], last)) {
      fail_damaged(tensor.name, "reaches out of its storage");
    }
  }
  if (count_elements(tensor) > 0 && last >= elements) {
    fail_damaged(tensor.name, "reaches out of its storage");
  }
}

// Finds the storage; returns how many elements of the tensor's type it has from `base` on.
int64_t attach_storage(const PytorchArchive& archive, PickleId id, StoredTensor& tensor,
                       std::string_view dtype) {
  const auto reference = read_storage_reference(archive.value, id);
  const auto found = archive.storages.find(reference.key);
  if (found == archive.storages.end()) {
    fail_damaged(tensor.name, "has a storage that is not in the file");
  }
  tensor.key = reference.key;
  tensor.bytes = found->second.bytes;
  tensor.type = storage_type(reference.type);
  const auto unit = static_cast<int64_t>(element_size(tensor.type));
  if (reference.elements > static_cast<int64_t>(tensor.bytes.size()) / unit ||
      reference.elements * unit != static_cast<int64_t>(tensor.bytes.size())) {
    fail_damaged(tensor.name, "has a storage of another size than it says");
  }
  if (reference.view_elements >= 0) {
    tensor.bytes =
        tensor.bytes.substr(reference.view_offset * unit, reference.view_elements * unit);
  }
  if (!dtype.empty()) {
    tensor.type = type_named(dtype, tensor.name);
  }
  return static_cast<int64_t>(tensor.bytes.size() / element_size(tensor.type));
}

StoredTensor read_plain(const PytorchArchive& archive, const Call& call, std::string name);

// Scales and zero points are tensors, which are not quantized in turn.
StoredTensor read_channels(const PytorchArchive& archive, PickleId id, const std::string& name) {
  const Call call = innermost_call(archive.value, id, name);
  if (call.function == "_rebuild_qtensor") {
    fail_damaged(name, "has another type than it says");
  }
  return read_plain(archive, call, name);
}

void read_quantization(const PytorchArchive& archive, PickleId id, StoredTensor& tensor) {
  const Pickle& pickle = archive.value;
  const auto& params = pickle[id].items;
  const auto scheme = params.empty() ? std::string_view() : torch_name(pickle, params[0]);
  if (scheme == "per_tensor_affine" && params.size() == 3 &&
      pickle[params[1]].kind == Kind::kFloat && pickle[params[2]].kind == Kind::kInt) {
    tensor.scale = pickle[params[1]].real;
    tensor.zero_point = pickle[params[2]].integer;
    return;
  }
  SSDQ_CHECK(scheme == "per_channel_affine" || scheme == "per_channel_affine_float_qparams",
             "tensor '{}' is quantized in the way '{}', which SSDQ does not read",
             printable(tensor.name), printable(scheme));
  if (params.size() != 4 || !is_tensor(pickle, params[1]) || !is_tensor(pickle, params[2])) {
    fail_damaged(tensor.name, "lacks its scales");
  }
  tensor.axis = read_integer(pickle, params[3], tensor.name);
  const auto axis = static_cast<size_t>(tensor.axis);
  for (const auto& [suffix, param] : {std::pair{".scale", params[1]}, {".zero_point", params[2]}}) {
    tensor.channels.push_back(read_channels(archive, param, tensor.name + suffix));
    const StoredTensor& values = tensor.channels.back();
    if (axis >= tensor.shape.size() || values.shape.size() != 1 ||
        values.shape[0] != tensor.shape[axis]) {
      fail_damaged(tensor.name, "has another number of scales than of channels");
    }
  }
}

StoredTensor read_plain(const PytorchArchive& archive, const Call& call, std::string name) {
  const Pickle& pickle = archive.value;
  const auto [function, args] = call;
  StoredTensor tensor;
  tensor.name = std::move(name);
  const bool quantized = function == "_rebuild_qtensor";
  const bool typed = function == "_rebuild_tensor_v3";
  SSDQ_CHECK(
      quantized || typed || function == "_rebuild_tensor" || function == "_rebuild_tensor_v2",
      "tensor '{}' is made by '{}', which SSDQ does not read; save it as a dense tensor",
      printable(tensor.name), printable(function));
  if (args->size() < (typed ? 7U : quantized ? 5U : 4U)) {
    fail_damaged(tensor.name, "lacks its shape");
  }
  const auto dtype = typed ? torch_name(pickle, (*args)[6]) : std::string_view();
  if (typed && dtype.empty()) {
    fail_damaged(tensor.name, "lacks its type");
  }
  const int64_t elements = attach_storage(archive, (*args)[0], tensor, dtype);
  tensor.offset = read_integer(pickle, (*args)[1], tensor.name);
  tensor.shape = read_integers(pickle, (*args)[2], tensor.name);
  tensor.strides = read_integers(pickle, (*args)[3], tensor.name);
  if (tensor.shape.size() != tensor.strides.size()) {
    fail_damaged(tensor.name, "has another number of strides than of dimensions");
  }
  check_within(tensor, elements);
  if (quantized != tensor.quantized()) {
    fail_damaged(tensor.name, "has values of another type than it says");
  }
  return tensor;
}

}  // namespace

std::string_view torch_name(const Pickle& pickle, PickleId id) {
  if (pickle[id].kind != Kind::kGlobal) {
    return {};
  }
  const std::string_view module = pickle[pickle[id].callable].text;
  return module == "torch" || starts_with(module, "torch.") ? pickle[id].text : std::string_view();
}

bool is_tensor(const Pickle& pickle, PickleId id) {
  if (pickle[id].kind != Kind::kObject) {
    return false;
  }
  const auto name = torch_name(pickle, pickle[id].callable);
  return starts_with(name, "_rebuild_") || is_wrapper(name);
}

StoredTensor read_stored_tensor(const PytorchArchive& archive, PickleId id, std::string name) {
  const Call call = innermost_call(archive.value, id, name);
  StoredTensor tensor = read_plain(archive, call, std::move(name));
  if (tensor.quantized()) {
    read_quantization(archive, (*call.args)[4], tensor);
  }
  return tensor;
}

int64_t count_elements(const StoredTensor& tensor) {
  int64_t count = 1;
  for (const int64_t size : tensor.shape) {
    if (size == 0) {
      return 0;
    }
    count *= size;
  }
  return count;
}

}  // namespace ssdq
