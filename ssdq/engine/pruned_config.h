#pragma once

#include <string>

#include "ssdq/engine/experiment.h"

namespace ssdq {

// The configuration with which a pruned detector in `folder` is trained on and evaluated: backbone
// `cfg` and `weights` as given (names of files beside it, or whole paths), nothing else loaded or
// left random, PRUNE.TYPE none, OUTPUT_DIR the folder "train" in `folder`. Relative places of data
// sets that only the experiment's own file would find become whole paths.
Config pruned_config(const Experiment& experiment, const std::string& folder,
                     const std::string& cfg, const std::string& weights);

}  // namespace ssdq
