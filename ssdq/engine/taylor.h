#pragma once

#include <vector>

#include "ssdq/engine/experiment.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// Scores by unit (TaylorImportance): of the training loss, in float32, over
// the first `batches` of DATASETS.TRAIN, augmented as training starts with them; so equal
// configurations give equal scores. Batch norms use their running statistics and no range of a
// quantizer moves. `detector`, on the experiment's device, is left as it was: values, gradients,
// modes.
//
// Throws ConfigError when DATASETS.TRAIN is empty or `batches` below 1, Error when the loss is not
// finite.
std::vector<double> taylor_scores(Detector& detector, const Experiment& experiment,
                                  const ChannelUnits& units,
                                  const std::vector<ChannelGroup>& groups, int batches);

}  // namespace ssdq
