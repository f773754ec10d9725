#pragma once

#include <torch/nn/module.h>

#include "ssdq/distributed/process_group.h"

namespace ssdq {

// Makes the module's parameters and buffers those of rank `root`, on every rank. Throws Error on
// every rank when names, shapes or types differ between them.
void broadcast_state(ProcessGroup& group, torch::nn::Module& module, int root = 0);

}  // namespace ssdq
