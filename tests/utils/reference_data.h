#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace ssdq::testing {

// Folder `name` of the reference data, if the environment says where they are.
inline std::optional<std::string> reference_data(const std::string& name) {
  const char* root = std::getenv("SSDQ_REFERENCE_DATA");
  if (root == nullptr || *root == '\0') {
    return std::nullopt;
  }
  return (std::filesystem::path(root) / name).string();
}

}  // namespace ssdq::testing
