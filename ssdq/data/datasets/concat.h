#pragma once

#include <memory>
#include <vector>

#include "ssdq/data/dataset.h"

namespace ssdq {

// The images of several data sets, one behind the other. Throws ConfigError that names two of them
// when their classes differ. At least one data set.
std::unique_ptr<Dataset> concat(std::vector<std::unique_ptr<Dataset>> parts);

}  // namespace ssdq
