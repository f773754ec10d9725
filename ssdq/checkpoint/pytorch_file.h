#pragma once

#include <string>

#include "ssdq/checkpoint/tensor_file.h"

namespace ssdq {

// Reads the weights out of a file of Python's torch.save, of PyTorch 0.2 and later (docs/formats.md
// says which tensors of it, and under which names). Nothing in the file is run. It may be damaged
// or hostile: whatever it holds, the result is its tensors (new, contiguous, on the CPU) or an
// Error of one sentence that starts with the path, in memory and time in proportion to the file.
//
// Quantized tensors come as their float values, with `<name>.scale` and `<name>.zero_point` beside
// them. The metadata are the numbers and texts beside the weights, and as "container" the keys that
// lead to the weights where they are not at the top.
TensorFile read_pytorch(const std::string& path);

// As read_pytorch, but the tensors are on the meta device and have shape and type only, and their
// values' checksums are not compared.
TensorFile read_pytorch_header(const std::string& path);

// Whether the file starts as one of torch.save; no error if it cannot be read.
bool is_pytorch_file(const std::string& path);

// Writes a state dict that Python's torch.load reads, with weights_only too; from any device and in
// any memory layout, by the logical order. The file appears as a whole or not at all. Throws Error
// for a tensor that is undefined, sparse or not of TensorFile's types, and for a name used twice.
void write_pytorch(const std::string& path, const State& tensors);

}  // namespace ssdq
