#pragma once

#include <string>
#include <vector>

#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"

namespace ssdq {

// Copies the model of a checkpoint file (its averaged weights where it has them) into the detector,
// strictly: every tensor must be there with its shape, but for the ranges of quantizers, which a
// float checkpoint has not. Returns the class names that the checkpoint carries, empty when it has
// none. Throws Error listing all differing names and shapes.
std::vector<std::string> load_weights(Detector& detector, const std::string& path);

// Loads MODEL.WEIGHTS, else the backbone's tensors of MODEL.BACKBONE.WEIGHTS when PRETRAINED, else
// leaves the random initialisation; the log says which. Throws Error as load_weights, also when the
// file is missing.
void load_initial_weights(Detector& detector, const Experiment& experiment);

// For --eval-only: MODEL.WEIGHTS of the command line, else the newest checkpoint in OUTPUT_DIR,
// else MODEL.WEIGHTS of the file. Throws ConfigError when there is none of them.
void load_for_evaluation(Detector& detector, const Experiment& experiment, const Origins& origins);

}  // namespace ssdq
