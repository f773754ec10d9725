#pragma once

#include <cstdint>
#include <vector>

#include "ssdq/data/dataset.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/quantizers.h"

namespace ssdq {

// Sets the ranges of `quantizers` (of `detector`) from the first `batches` of training images, seen
// by the float network in evaluation mode. Everything else, modes included, is left as it was. Does
// nothing without quantizers. Deterministic: the batches are those that training starts with.
void calibrate(DetectorImpl& detector, const Experiment& experiment, const Dataset& dataset,
               const std::vector<NamedQuantizer>& quantizers, int batches);

// Replaces the running statistics of each batch norm by the plain average over
// `batches` training batches, those from `first_batch` on, with quantizers in the mode that they
// are in and ranges fixed. Leaves the detector in training mode.
void reestimate_batch_norm(DetectorImpl& detector, const Experiment& experiment,
                           const Dataset& dataset, int64_t first_batch, int batches);

}  // namespace ssdq
