#pragma once

#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/config/paths.h"
#include "ssdq/config/reader.h"

namespace ssdq {

// Names that components are registered under. An empty list leaves its key unchecked; "none" needs
// no entry.
struct KnownNames {
  std::vector<std::string> detectors;
  std::vector<std::string> backbones;
  std::vector<std::string> heads;
  std::vector<std::string> predictors;
  std::vector<std::string> quantizers;
  std::vector<std::string> pruners;
  std::vector<std::string> dataset_formats;
};

// Checks what a single key cannot show: names against `known`, lists against each other. Throws
// ConfigError with a line for each broken rule, at the place of the key that the user set.
void validate(const Config& config, const Origins& origins, const KnownNames& known);

}  // namespace ssdq
