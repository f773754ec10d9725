#pragma once

#include "ssdq/data/loader.h"
#include "ssdq/engine/experiment.h"

namespace ssdq {

// How images are read and handed over in batches, without augmentation.
LoaderOptions loader_options(const Experiment& experiment, int batch_size);

// How training reads images, and the targets that it makes for them.
LoaderOptions train_loader_options(const Experiment& experiment);

}  // namespace ssdq
