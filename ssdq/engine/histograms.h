#pragma once

#include <string>

#include "ssdq/engine/experiment.h"
#include "ssdq/modeling/detector.h"

namespace ssdq {

// Draws the weight of each quantized convolution to FOLDER/<node>.weight.png: a histogram of the
// values that the quantizer gets (with the batch norm folded in where the method does so), lines at
// the least and the largest value that it makes of them, and a tick for each value when there are
// not too many. Returns the number of pictures. Throws Error when the folder cannot be written.
int write_weight_histograms(Detector& detector, const std::string& folder);

// Draws what each quantizer of activations gets from the first `images` images of the data set to
// FOLDER/<node>.input.png (.input_0.png, .input_1.png for joints with several), on a logarithmic
// axis, with the ends of its range. The other activations are not quantized meanwhile. Of each map
// and image at most 20,000 values are taken, evenly spaced. Throws Error when a quantizer has no
// range yet.
int write_input_histograms(Detector& detector, const Experiment& experiment, const Dataset& dataset,
                           int images, const std::string& folder);

}  // namespace ssdq
