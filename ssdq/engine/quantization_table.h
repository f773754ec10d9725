#pragma once

#include <string>

#include "ssdq/engine/experiment.h"
#include "ssdq/modeling/detector.h"

namespace ssdq {

// A line for each node: its kind, the widths, codes and ranges of its weight and of its input, or
// why it stays in float. Ranges that no data has set yet are shown as "?".
std::string quantization_table(const Experiment& experiment, const Detector& detector);

}  // namespace ssdq
