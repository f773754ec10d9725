#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/config/config.h"

namespace ssdq {

// Where each value comes from: a key (SOLVER.LR) to "file:line:column", "command line" or
// "default".
using Origins = std::map<std::string, std::string>;

struct LoadedConfig {
  Config config;
  std::string file;
  Origins origins;
};

// Reads a configuration: defaults, then the files named by _BASE_, then the file, then the
// overrides (KEY VALUE KEY VALUE). Sections and maps are merged, scalars and lists replaced. An
// empty path reads overrides alone. Configurations of lufficc/SSD and its pruning and quantization
// fork load unchanged. Throws ConfigError that lists every problem on a line of its own, with its
// place.
LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides = {});

// Reads a configuration from text, such as the one in a checkpoint; `name` stands for the file in
// messages. _BASE_ is refused.
Config parse_config(const std::string& yaml, const std::string& name);

}  // namespace ssdq
