#pragma once

#include <string>
#include <vector>

#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"

namespace ssdq {

struct LoadedWeights {
  std::vector<std::string> class_names;      // empty when the file has none
  std::vector<std::string> missing_tensors;  // of quantizers' state, which a float file has not
};

// Copies the model of a checkpoint file (its averaged weights where it has them), or the weights of
// another system (importing/import_state.h), into the detector, strictly: every tensor must be
// there with its shape, but for the state of quantizers. Throws Error listing all differing names
// and shapes, or saying that the file's model is quantized and the detector is not.
LoadedWeights load_weights(Detector& detector, const std::string& path);

// load_weights for a network that is not trained further: quantizers for which the file has no
// ranges get them from CALIBRATION_BATCHES of DATASETS.TRAIN (post-training quantization). Throws
// ConfigError when ranges are missing and there are none of these.
void load_weights_and_ranges(Detector& detector, const Experiment& experiment,
                             const std::string& path);

// Loads MODEL.WEIGHTS, but for what MODEL.RESET and ALLOW_MISSING leave random, else the backbone's
// tensors of MODEL.BACKBONE.WEIGHTS (a detector of any system that is read, or a classifier, which
// has no extra levels) when PRETRAINED, else leaves the random initialisation; the log says which.
// Returns the tensors of quantizers' state that were not loaded. Throws Error as load_weights, also
// when the file is missing.
std::vector<std::string> load_initial_weights(Detector& detector, const Experiment& experiment);

// load_weights_and_ranges for --eval-only: of MODEL.WEIGHTS of the command line, else of the newest
// checkpoint in OUTPUT_DIR, else of MODEL.WEIGHTS of the file. Throws ConfigError when there are
// no weights.
void load_for_evaluation(Detector& detector, const Experiment& experiment, const Origins& origins);

}  // namespace ssdq
