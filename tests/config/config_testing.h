#pragma once

#include <functional>
#include <string>

#include "ssdq/utils/error.h"

namespace ssdq::testing {

inline std::string data_path(const std::string& name) {
  return std::string(SSDQ_SOURCE_DIR) + "/tests/config/data/" + name;
}

// The text of the ConfigError that `action` throws.
inline std::string config_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no ConfigError";
}

}  // namespace ssdq::testing
