#pragma once

#include <string>

#include "ssdq/checkpoint/tensor_file.h"

namespace ssdq {

// The one tensor of a darknet file: its values in the order of the network's sections, without
// names or shapes (importing/darknet.h gives it those of a cfg).
inline constexpr const char* kDarknetValues = "darknet.values";

// Whether the name ends as darknet's files do: ".weights", or ".conv.<layers>" for the first layers
// of a network.
bool is_darknet_file(const std::string& path);

// Reads the header and the float32 values behind it; the metadata are "version" ("0.2.5") and
// "seen" (images of the training). Throws Error of one sentence that starts with the path.
TensorFile read_darknet(const std::string& path);

}  // namespace ssdq
