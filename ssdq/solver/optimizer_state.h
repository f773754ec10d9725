#pragma once

#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>
#include <torch/optim/optimizer.h>
#include <torch/types.h>

#include "ssdq/checkpoint/state.h"

namespace ssdq {

// What an SGD or AdamW optimizer remembers of each parameter of `module`, named
// "<parameter>.momentum_buffer", ".exp_avg", ".exp_avg_sq" and ".step" (int64 scalar). Parameters
// that have not been stepped have no entries. Tensors share storage with the optimizer, but for
// ".step".
State optimizer_state(torch::optim::Optimizer& optimizer, const torch::nn::Module& module);

// Puts such a state back, replacing what the optimizer remembers: its next steps then equal those
// of the optimizer that the state came from, bit for bit. Learning rates and other options are not
// part of the state. Throws Error if a name or shape does not belong to `module`.
void load_optimizer_state(torch::optim::Optimizer& optimizer, const torch::nn::Module& module,
                          const State& source);

// Forgets what the optimizer remembers of these parameters: momentum, moments and step counts start
// from zero.
void reset_optimizer_state(torch::optim::Optimizer& optimizer,
                           const std::vector<torch::Tensor>& parameters);

}  // namespace ssdq
