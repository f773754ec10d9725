#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ssdq {

// Names of the layers in the bytes of a .caffemodel that have values, in the file's order. The
// bytes may be damaged or hostile: they are a message of layers whose blobs are as long as their
// shapes say, or the result is an Error of one sentence that starts with the path.
std::vector<std::string> layers_with_values(const std::string& path, std::string_view bytes);

}  // namespace ssdq
