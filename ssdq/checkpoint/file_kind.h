#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ssdq {

constexpr size_t kFileKindBytes = 512;  // how much of a file describe_foreign_file wants to see

// Says in one clause what a file that is neither safetensors nor .pth looks like from its first
// bytes, and what to do: "it is empty", "it looks like an ONNX model; ...".
std::string describe_foreign_file(std::string_view start);

// Whether the name is that of a Caffe network's weights (checkpoint/caffe_file.h).
bool is_caffe_file(const std::string& path);

}  // namespace ssdq
