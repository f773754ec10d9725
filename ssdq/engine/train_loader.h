#pragma once

#include "ssdq/data/loader.h"
#include "ssdq/engine/experiment.h"

namespace ssdq {

// How training reads images, and the targets that it makes for them.
LoaderOptions train_loader_options(const Experiment& experiment);

}  // namespace ssdq
