#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <torch/torch.h>

#include "ssdq/checkpoint/printable.h"
#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/checkpoint/zip_archive.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"

namespace ssdq {
namespace {

std::string_view storage_name(torch::ScalarType type) {
  static constexpr std::array<std::pair<torch::ScalarType, std::string_view>, 10> kNames{{
      {torch::kBool, "BoolStorage"},
      {torch::kInt8, "CharStorage"},
      {torch::kUInt8, "ByteStorage"},
      {torch::kInt16, "ShortStorage"},
      {torch::kInt32, "IntStorage"},
      {torch::kInt64, "LongStorage"},
      {torch::kFloat16, "HalfStorage"},
      {torch::kBFloat16, "BFloat16Storage"},
      {torch::kFloat32, "FloatStorage"},
      {torch::kFloat64, "DoubleStorage"},
  }};
  for (const auto& [known, name] : kNames) {
    if (known == type) {
      return name;
    }
  }
  return {};
}

void check_writable(const std::string& path, const State& tensors) {
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    SSDQ_CHECK(tensor.defined() && tensor.layout() == torch::kStrided && !tensor.is_meta(),
               "{}: cannot write tensor '{}': it has no dense values", path, name);
    SSDQ_CHECK(!storage_name(tensor.scalar_type()).empty(),
               "{}: cannot write tensor '{}': the format has no type for {}", path, name,
               torch::toString(tensor.scalar_type()));
    SSDQ_CHECK(is_utf8(name) && names.insert(name).second,
               "{}: cannot write tensor '{}': the name is taken or is not UTF-8", path,
               printable(name));
  }
}

// Writes a pickle of protocol 2, with the opcodes that torch.load(weights_only=True) knows.
class PickleWriter {
 public:
  PickleWriter() : bytes_("\x80\x02") {}

  void opcodes(std::string_view codes) { bytes_ += codes; }

  void global(std::string_view module, std::string_view name) {
    bytes_ += 'c';
    bytes_ += module;
    bytes_ += '\n';
    bytes_ += name;
    bytes_ += '\n';
  }

  void text(std::string_view value) {
    bytes_ += 'X';
    put(static_cast<uint32_t>(value.size()));
    bytes_ += value;
  }

  void integer(int64_t value) {
    if (value == static_cast<int32_t>(value)) {
      bytes_ += 'J';
      put(static_cast<int32_t>(value));
    } else {
      bytes_ += "\x8A\x08";
      put(value);
    }
  }

  void integers(torch::IntArrayRef values) {
    bytes_ += '(';
    for (const int64_t value : values) {
      integer(value);
    }
    bytes_ += 't';
  }

  const std::string& bytes() const { return bytes_; }

 private:
  template <typename T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string bytes_;
};

// What Python gets for row-major values in a storage of their own.
void write_tensor(PickleWriter& pickle, const torch::Tensor& tensor, size_t key) {
  pickle.global("torch._utils", "_rebuild_tensor_v2");
  pickle.opcodes("((");
  pickle.text("storage");
  pickle.global("torch", storage_name(tensor.scalar_type()));
  pickle.text(std::to_string(key));
  pickle.text("cpu");
  pickle.integer(tensor.numel());
  pickle.opcodes("tQ");  // the tuple is the storage's persistent id
  pickle.integer(0);     // offset
  pickle.integers(tensor.sizes());
  std::vector<int64_t> strides(tensor.sizes().size(), 1);
  for (size_t i = strides.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * std::max<int64_t>(tensor.sizes()[i], 1);
  }
  pickle.integers(strides);
  pickle.opcodes("\x89");  // requires_grad=False
  pickle.global("collections", "OrderedDict");
  pickle.opcodes(")RtR");  // no hooks; call _rebuild_tensor_v2
}

std::string pickle_state(const State& tensors) {
  PickleWriter pickle;
  pickle.global("collections", "OrderedDict");
  pickle.opcodes(")R(");
  for (size_t i = 0; i < tensors.size(); ++i) {
    pickle.text(tensors[i].first);
    write_tensor(pickle, tensors[i].second, i);
  }
  pickle.opcodes("u.");
  return pickle.bytes();
}

}  // namespace

void write_pytorch(const std::string& path, const State& tensors) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file says little");
  check_writable(path, tensors);
  AtomicFile output(path);
  ZipWriter zip([&](const void* data, size_t size) { output.write(data, size); });
  zip.add("archive/data.pkl", pickle_state(tensors));
  zip.add("archive/byteorder", "little");
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto values = tensors[i].second.detach().cpu().contiguous();
    zip.add("archive/data/" + std::to_string(i),
            {static_cast<const char*>(values.data_ptr()), values.nbytes()});
  }
  zip.add("archive/version", "3\n");
  zip.finish();
  output.commit();
}

}  // namespace ssdq
