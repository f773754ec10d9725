#pragma once

#include <map>
#include <string>

#include "ssdq/checkpoint/state.h"

namespace ssdq {

// The contents of a file of tensors (docs/formats.md).
struct TensorFile {
  State tensors;  // strided, of the types F32, F64, F16, BF16, I64, I32, I16, I8, U8 and BOOL
  std::map<std::string, std::string> metadata;
};

}  // namespace ssdq
