#pragma once

#include <string>

#include "ssdq/graph/graph.h"

namespace ssdq {

// An operator in a few words: "conv 3x3 /2 bn relu6", "depthwise 3x3 bn", "max_pool 2x2 /2", "add".
// What is usual is left out: stride 1, dilation 1, padding, no activation.
std::string describe(const Op& op);

// "24x150x150": channels, height, width.
std::string to_string(const Shape& shape);

}  // namespace ssdq
