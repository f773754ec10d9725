#pragma once

#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ssdq/distributed/process_group.h"

namespace ssdq {

// Makes the tensors, of any types and the same on every rank but for their values, those of rank
// `root`.
void broadcast_tensors(ProcessGroup& group, const std::vector<torch::Tensor>& tensors,
                       int root = 0);

// Makes the module's parameters and buffers those of rank `root`, on every rank. Throws Error on
// every rank when names, shapes or types differ between them.
void broadcast_state(ProcessGroup& group, torch::nn::Module& module, int root = 0);

}  // namespace ssdq
