#pragma once

#include <string>

#include "ssdq/export/onnx_file.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// Adds a pool of the map `x`, `in` and `out` being the shapes before and after. Windows that
// ceil_mode lets reach past the map are given explicit padding, so that runtimes need not agree on
// what ceil_mode means; an average then divides by the part of the window that lies on the map and
// its configured padding, as LibTorch does.
std::string add_pool(OnnxBuilder& onnx, const std::string& name, const std::string& x,
                     const Pool& pool, Size2 in, Size2 out);

}  // namespace ssdq
