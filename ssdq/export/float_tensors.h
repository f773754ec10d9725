#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ssdq {

// A state as plain numbers, for what needs no LibTorch.
struct FloatTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;  // row-major
};

using FloatTensors = std::map<std::string, FloatTensor>;

}  // namespace ssdq
