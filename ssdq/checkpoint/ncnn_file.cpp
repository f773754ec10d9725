#include "ssdq/checkpoint/ncnn_file.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include <torch/torch.h>

#include "ssdq/checkpoint/input_file.h"
#include "ssdq/checkpoint/ncnn_weights.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr std::string_view kEnding = ".param";
constexpr uint64_t kMostParamBytes = 64 << 20;

std::string contents(const std::string& path, uint64_t most) {
  const InputFile file(path);
  SSDQ_CHECK(file.size() <= most, "{}: has {} bytes, more than a network's text should ({})", path,
             file.size(), most);
  std::string bytes(file.size(), '\0');
  file.read(bytes.data(), bytes.size(), 0);
  return bytes;
}

std::vector<NcnnTensor> read(const std::string& path) {
  const std::string param = contents(path, kMostParamBytes);
  const std::string bin_path = path.substr(0, path.size() - kEnding.size()) + ".bin";
  SSDQ_CHECK(std::filesystem::exists(bin_path),
             "{}: holds the network only; expected its weights beside it, in {}", path, bin_path);
  const std::string bin = contents(bin_path, std::numeric_limits<uint64_t>::max());
  try {
    return read_ncnn_weights(param, bin);
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
  }
}

}  // namespace

TensorFile read_ncnn(const std::string& path) {
  TensorFile file;
  for (const NcnnTensor& tensor : read(path)) {
    auto values = torch::empty(tensor.shape, torch::kFloat);
    std::copy(tensor.values.begin(), tensor.values.end(), values.data_ptr<float>());
    file.tensors.emplace_back(tensor.name, std::move(values));
  }
  return file;
}

TensorFile read_ncnn_header(const std::string& path) {
  TensorFile file;
  for (const NcnnTensor& tensor : read(path)) {
    file.tensors.emplace_back(tensor.name, torch::empty(tensor.shape, torch::device(torch::kMeta)));
  }
  return file;
}

bool is_ncnn_file(const std::string& path) { return ends_with(path, kEnding); }

}  // namespace ssdq
