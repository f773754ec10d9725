#pragma once

#include <string>

#include "ssdq/checkpoint/tensor_file.h"

namespace ssdq {

// Reads the weights of an ncnn network (ncnn_weights.h says which tensors, under which names).
// `path` is the .param file; the .bin of the same name is expected beside it. The files may be
// damaged or hostile: whatever they hold, the result is their tensors (new, contiguous, on the CPU)
// or an Error of one sentence that starts with the path, in memory and time in proportion to the
// files.
TensorFile read_ncnn(const std::string& path);

// As read_ncnn, but the tensors are on the meta device and have shape and type only.
TensorFile read_ncnn_header(const std::string& path);

// By the ending, .param.
bool is_ncnn_file(const std::string& path);

}  // namespace ssdq
