#include "ssdq/checkpoint/pytorch_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <set>
#include <system_error>
#include <utility>

#include <torch/torch.h>

#include "ssdq/checkpoint/file_kind.h"
#include "ssdq/checkpoint/input_file.h"
#include "ssdq/checkpoint/printable.h"
#include "ssdq/checkpoint/pytorch_contents.h"
#include "ssdq/checkpoint/zip_archive.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Of the codes where the tensor is quantized; in ElementType's order.
torch::ScalarType scalar_type(ElementType type) {
  constexpr std::array<torch::ScalarType, 13> kTypes{
      torch::kBool,  torch::kInt8,    torch::kUInt8,    torch::kInt16,   torch::kInt32,
      torch::kInt64, torch::kFloat16, torch::kBFloat16, torch::kFloat32, torch::kFloat64,
      torch::kInt8,  torch::kUInt8,   torch::kInt32};
  return kTypes[static_cast<size_t>(type)];
}

class Loader {
 public:
  Loader(const PytorchArchive& archive, bool header_only)
      : archive_(archive), header_only_(header_only) {}

  State load(const std::vector<StoredTensor>& tensors) {
    for (const auto& tensor : tensors) {
      add(tensor.name, tensor.quantized() ? dequantize(tensor) : values_of(tensor));
      if (tensor.quantized()) {
        const bool by_channel = !tensor.channels.empty();
        add(tensor.name + ".scale",
            by_channel ? values_of(tensor.channels[0]) : number(tensor.scale, torch::kFloat64));
        add(tensor.name + ".zero_point",
            by_channel ? values_of(tensor.channels[1]) : number(tensor.zero_point, torch::kInt64));
      }
    }
    return std::move(state_);
  }

 private:
  void add(const std::string& name, torch::Tensor tensor) {
    SSDQ_CHECK(names_.insert(name).second, "damaged file: two tensors named '{}'", printable(name));
    state_.emplace_back(name, std::move(tensor));
  }

  // A storage that several tensors share is looked at once.
  void check_crc(const StoredTensor& tensor) {
    const auto& storage = archive_.storages.at(tensor.key);
    if (checked_.insert(tensor.key).second && storage.has_crc) {
      SSDQ_CHECK(zip_crc32(storage.bytes) == storage.crc,
                 "damaged file: the checksum of tensor '{}' is wrong", printable(tensor.name));
    }
  }

  torch::Tensor allocate(const StoredTensor& tensor, torch::ScalarType type) const {
    const auto options = torch::dtype(type).device(header_only_ ? torch::kMeta : torch::kCPU);
    try {
      return torch::empty(tensor.shape, options);
    } catch (const c10::Error&) {
      fail("not enough memory for tensor '{}'", printable(tensor.name));
    }
  }

  torch::Tensor values_of(const StoredTensor& tensor) {
    // A byte other than 0 and 1 is not a value of C++'s bool, so truth is read as numbers.
    const bool truth = tensor.type == ElementType::kBool && !header_only_;
    auto values = allocate(tensor, truth ? torch::kUInt8 : scalar_type(tensor.type));
    if (!header_only_) {
      check_crc(tensor);
      copy_elements(tensor, archive_.big_endian, static_cast<char*>(values.data_ptr()));
    }
    return truth ? values.ne(0) : values;
  }

  template <typename T>
  torch::Tensor number(T value, torch::ScalarType type) const {
    return header_only_ ? torch::empty({}, torch::dtype(type).device(torch::kMeta))
                        : torch::scalar_tensor(value, torch::dtype(type));
  }

  torch::Tensor dequantize(const StoredTensor& tensor) {
    if (header_only_) {
      return allocate(tensor, torch::kFloat32);
    }
    const auto codes = values_of(tensor).to(torch::kFloat64);
    if (tensor.channels.empty()) {
      return ((codes - static_cast<double>(tensor.zero_point)) * tensor.scale).to(torch::kFloat32);
    }
    std::vector<int64_t> shape(tensor.shape.size(), 1);
    shape[static_cast<size_t>(tensor.axis)] = -1;
    const auto by_channel = [&](size_t i) {
      const auto values = values_of(tensor.channels[i]).to(torch::kFloat64);
      return codes.numel() == 0 ? torch::zeros({}, torch::kFloat64) : values.reshape(shape);
    };
    return ((codes - by_channel(1)) * by_channel(0)).to(torch::kFloat32);
  }

  const PytorchArchive& archive_;
  bool header_only_;
  State state_;
  std::set<std::string> names_;
  std::set<std::string_view> checked_;
};

struct Bytes {
  std::unique_ptr<char[]> data;
  size_t size = 0;

  std::string_view view() const { return {data.get(), size}; }
};

Bytes read_bytes(const std::string& path) {
  const InputFile file(path);
  Bytes bytes;
  bytes.size = static_cast<size_t>(file.size());
  bytes.data.reset(new (std::nothrow) char[bytes.size]);
  SSDQ_CHECK(bytes.data, "{}: not enough memory for its {} bytes", path, bytes.size);
  file.read(bytes.data.get(), bytes.size, 0);
  return bytes;
}

TensorFile read(const std::string& path, bool header_only) {
  const Bytes file = read_bytes(path);
  try {
    const PytorchArchive archive = open_pytorch(file.view());
    PytorchContents contents = read_contents(archive, file.size);
    return {Loader(archive, header_only).load(contents.tensors), std::move(contents.metadata)};
  } catch (const Error& sentence) {
    fail("{}: {}", path, sentence.what());
  }
}

}  // namespace

TensorFile read_pytorch(const std::string& path) { return read(path, false); }

TensorFile read_pytorch_header(const std::string& path) { return read(path, true); }

bool is_pytorch_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return false;
  }
  std::string start(kFileKindBytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(file.gcount()));
  return looks_like_pytorch(start);
}

}  // namespace ssdq
