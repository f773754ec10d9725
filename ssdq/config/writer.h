#pragma once

#include <string>

#include "ssdq/config/config.h"

namespace ssdq {

// Every key with its value. parse_config() of it gives an equal configuration.
std::string to_yaml(const Config& config);

// A line "KEY: value (default: value)" for each key that differs from its default; empty when none
// does.
std::string differences(const Config& config);

// The page docs/config.md: every key with its default, what it accepts and what it means.
std::string config_reference();

}  // namespace ssdq
