#pragma once

#include <string>

#include "ssdq/modeling/detector.h"

namespace ssdq {

// Draws the weight of each quantized convolution to FOLDER/<node>.png: a histogram of the values
// that the quantizer gets (with the batch norm folded in where the method does so), between the
// least and the largest value that it makes of them, and a tick for each value when there are not
// too many. Returns the number of pictures. Throws Error when nothing is quantized or the folder
// cannot be written.
int write_weight_histograms(Detector& detector, const std::string& folder);

}  // namespace ssdq
