#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <torch/types.h>

namespace ssdq {

constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  // bytes

struct SafetensorsEntry {
  std::string name;
  torch::ScalarType dtype = torch::kFloat32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes from the start of the data
  uint64_t end = 0;
};

// The JSON in front of the data. Entries keep the order they are written in.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
};

// Reads the JSON and checks everything it says against the `data_bytes` that follow it: types are
// known, names unique, each tensor has the bytes its shape needs, and the tensors cover the data
// without overlap or hole. Throws Error with one sentence that starts with `path`.
SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view json,
                                           uint64_t data_bytes);

// The JSON for the header, without padding. Throws Error if a name is not UTF-8.
std::string format_safetensors_header(const SafetensorsHeader& header);

// "F32" and so on; empty for a type the format or SSDQ does not have.
std::string safetensors_dtype(torch::ScalarType dtype);

}  // namespace ssdq
