#include "ssdq/checkpoint/darknet_file.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/input_file.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr int32_t kLargestVersion = 1000;  // darknet's own bound

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_darknet_file(const std::string& path) {
  const size_t number = path.rfind('.');
  return ends_with(path, ".weights") ||
         (number != std::string::npos && is_number(std::string_view(path).substr(number + 1)) &&
          ends_with(std::string_view(path).substr(0, number), ".conv"));
}

// Three int32 of the version, the images seen (int64 from version 0.2 on, before that int32), then
// the values; all little-endian.
TensorFile read_darknet(const std::string& path) {
  const InputFile file(path);
  std::array<int32_t, 3> version{};
  SSDQ_CHECK(file.size() >= sizeof version, "{}: {} bytes are too few for a darknet header", path,
             file.size());
  file.read(version.data(), sizeof version, 0);
  SSDQ_CHECK(std::all_of(version.begin(), version.end(),
                         [](int32_t part) { return part >= 0 && part < kLargestVersion; }),
             "{}: starts with version {}; a darknet weights file was expected, as its name says",
             path, fmt::join(version, "."));
  const uint64_t seen_bytes = version[0] * 10 + version[1] >= 2 ? 8 : 4;
  const uint64_t start = sizeof version + seen_bytes;
  SSDQ_CHECK(file.size() > start && (file.size() - start) % sizeof(float) == 0,
             "{}: {} bytes are no header of {} bytes and whole float32 values; the file is cut off "
             "or not of darknet",
             path, file.size(), start);
  uint64_t seen = 0;
  file.read(&seen, seen_bytes, sizeof version);
  const uint64_t bytes = file.size() - start;
  auto values = torch::empty({static_cast<int64_t>(bytes / sizeof(float))}, torch::kFloat);
  file.read(values.data_ptr<float>(), bytes, start);
  TensorFile tensors;
  tensors.tensors.emplace_back(kDarknetValues, values);
  tensors.metadata["version"] = fmt::format("{}", fmt::join(version, "."));
  tensors.metadata["seen"] = std::to_string(seen);
  return tensors;
}

}  // namespace ssdq
