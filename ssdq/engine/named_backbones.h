#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ssdq/config/config.h"

namespace ssdq {

// The path of the backbone's cfg file: MODEL.BACKBONE.CFG, or, where a configuration of lufficc/SSD
// gives a NAME alone (vgg, mobilenet_v2, ...), the shipped file of that network and input size.
// Throws ConfigError when neither names one.
std::string backbone_cfg(const Config& config);

// Names that MODEL.BACKBONE.NAME may have, with a line each.
std::vector<std::pair<std::string, std::string>> backbone_names();

}  // namespace ssdq
