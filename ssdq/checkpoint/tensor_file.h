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

// Reads a file of any kind that SSDQ knows, by its start or by its name. Throws Error.
TensorFile read_tensor_file(const std::string& path);

// As read_tensor_file, but the tensors may be on the meta device, with shape and type only.
TensorFile read_tensor_file_header(const std::string& path);

}  // namespace ssdq
