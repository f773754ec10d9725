#include "ssdq/checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

#include <torch/torch.h>

#include "ssdq/checkpoint/file_kind.h"
#include "ssdq/checkpoint/input_file.h"
#include "ssdq/checkpoint/safetensors_header.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"

namespace ssdq {
namespace {

constexpr uint64_t kLengthBytes = 8;

[[noreturn]] void fail_foreign(const std::string& path, const InputFile& file) {
  std::string start(std::min<uint64_t>(file.size(), kFileKindBytes), '\0');
  file.read(start.data(), start.size(), 0);
  fail("{}: {}", path, describe_foreign_file(start));
}

// The header and where the data starts.
std::pair<SafetensorsHeader, uint64_t> read_header(const std::string& path, const InputFile& file) {
  uint64_t length = 0;
  char first = '\0';
  if (file.size() <= kLengthBytes) {
    fail_foreign(path, file);
  }
  file.read(&length, sizeof length, 0);
  file.read(&first, 1, kLengthBytes);
  if (first != '{' || length < 2 || length > kMaxSafetensorsHeader) {
    fail_foreign(path, file);
  }
  SSDQ_CHECK(length <= file.size() - kLengthBytes,
             "{}: the file is truncated: its header needs {} bytes and {} are there", path, length,
             file.size() - kLengthBytes);
  std::string json(length, '\0');
  file.read(json.data(), length, kLengthBytes);
  const uint64_t start = kLengthBytes + length;
  return {parse_safetensors_header(path, json, file.size() - start), start};
}

torch::Tensor allocate(const std::string& path, const SafetensorsEntry& entry,
                       torch::ScalarType dtype) {
  try {
    return torch::empty(entry.shape, dtype);
  } catch (const c10::Error&) {
    fail("{}: not enough memory for a tensor of {} bytes", path, entry.end - entry.begin);
  }
}

torch::Tensor read_tensor(const std::string& path, const InputFile& file,
                          const SafetensorsEntry& entry, uint64_t start) {
  // A byte other than 0 and 1 is not a value of C++'s bool, so truth is read as numbers.
  const bool boolean = entry.dtype == torch::kBool;
  auto tensor = allocate(path, entry, boolean ? torch::kUInt8 : entry.dtype);
  file.read(tensor.data_ptr(), entry.end - entry.begin, start + entry.begin);
  return boolean ? tensor.ne(0) : tensor;
}

void check_writable(const std::string& path, const State& tensors) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    SSDQ_CHECK(tensor.defined() && tensor.layout() == torch::kStrided && !tensor.is_meta(),
               "{}: cannot write tensor '{}': it has no dense values", path, name);
    SSDQ_CHECK(!safetensors_dtype(tensor.scalar_type()).empty(),
               "{}: cannot write tensor '{}': the format has no type for {}", path, name,
               torch::toString(tensor.scalar_type()));
    SSDQ_CHECK(name != "__metadata__" && names.insert(name).second,
               "{}: cannot write tensor '{}': the name is taken", path, name);
  }
}

// Wide types first, so that every tensor lies at a multiple of its element size.
std::vector<size_t> data_order(const State& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return tensors[a].second.element_size() > tensors[b].second.element_size();
  });
  return order;
}

std::string make_header(const TensorFile& file, const std::vector<size_t>& order) {
  SafetensorsHeader header;
  header.metadata = file.metadata;
  for (const auto& [name, tensor] : file.tensors) {
    header.entries.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  }
  uint64_t offset = 0;
  for (const size_t i : order) {
    header.entries[i].begin = offset;
    offset += file.tensors[i].second.numel() * file.tensors[i].second.element_size();
    header.entries[i].end = offset;
  }
  std::string json = format_safetensors_header(header);
  json.resize((json.size() + 7) / 8 * 8, ' ');
  return json;
}

}  // namespace

TensorFile read_safetensors(const std::string& path) {
  const InputFile input(path);
  const auto [header, start] = read_header(path, input);
  TensorFile file{{}, header.metadata};
  for (const auto& entry : header.entries) {
    file.tensors.emplace_back(entry.name, read_tensor(path, input, entry, start));
  }
  return file;
}

TensorFile read_safetensors_header(const std::string& path) {
  const InputFile input(path);
  const auto header = read_header(path, input).first;
  TensorFile file{{}, header.metadata};
  for (const auto& entry : header.entries) {
    const auto options = torch::dtype(entry.dtype).device(torch::kMeta);
    file.tensors.emplace_back(entry.name, torch::empty(entry.shape, options));
  }
  return file;
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");
  check_writable(path, file.tensors);
  const auto order = data_order(file.tensors);
  const std::string header = make_header(file, order);
  SSDQ_CHECK(header.size() <= kMaxSafetensorsHeader,
             "{}: cannot write {} bytes of names and metadata: the format's limit is {}", path,
             header.size(), kMaxSafetensorsHeader);
  const uint64_t length = header.size();
  AtomicFile output(path);
  output.write(&length, sizeof length);
  output.write(header.data(), header.size());
  for (const size_t i : order) {
    const auto values = file.tensors[i].second.detach().cpu().contiguous();
    output.write(values.data_ptr(), values.nbytes());
  }
  output.commit();
}

}  // namespace ssdq
