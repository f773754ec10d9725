#pragma once

#include <string>

#include "ssdq/checkpoint/tensor_file.h"

namespace ssdq {

// Reads a file that may be damaged or hostile: whatever it holds, the result is its tensors (new,
// contiguous, on the CPU, in the header's order) or an Error of one sentence that starts with the
// path. No more memory is asked for than the file is long.
TensorFile read_safetensors(const std::string& path);

// As read_safetensors, but without the data: the tensors are on the meta device and have shape and
// type only. The file's structure is checked as far as reading it would.
TensorFile read_safetensors_header(const std::string& path);

// Writes the tensors, from any device and in any memory layout, by their logical order. The file
// appears as a whole or not at all (utils/files.h). Throws Error for a tensor that is
// undefined, sparse or of another type, and for a name used twice.
void write_safetensors(const std::string& path, const TensorFile& file);

}  // namespace ssdq
