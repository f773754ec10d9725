#pragma once

#include <memory>
#include <vector>

#include <torch/nn/module.h>
#include <torch/optim/optimizer.h>

#include "ssdq/config/config.h"

namespace ssdq {

// SGD with momentum or AdamW over the module's parameters. Biases go without weight decay unless
// DECAY_BIAS, and the parameters of batch and L2 norms unless DECAY_NORM. Throws ConfigError for
// another SOLVER.TYPE.
std::unique_ptr<torch::optim::Optimizer> make_optimizer(const torch::nn::Module& module,
                                                        const SolverConfig& solver);

void set_learning_rate(torch::optim::Optimizer& optimizer, double lr);

// Scales the gradients so that their common Euclidean norm is at most `max_norm`, and returns the
// norm that they had.
double clip_gradients(const std::vector<torch::Tensor>& parameters, double max_norm);

}  // namespace ssdq
