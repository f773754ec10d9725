#pragma once

#include <string>

namespace ssdq {

// Finds a file that a configuration names: as given, beside `config_file`, in the folder above it
// (a bare name beside it first, so that a folder describes itself wherever it is used from), then
// in the installed share (share/ssdq of the prefix, or beside the running program's bin). Throws
// ConfigError that lists the places tried.
std::string resolve_path(const std::string& path, const std::string& config_file);

}  // namespace ssdq
