#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/optim/optimizer.h>

#include "ssdq/config/config.h"

namespace ssdq {

// SGD with momentum or AdamW over the module's parameters. Biases go without weight decay unless
// DECAY_BIAS, and the parameters of batch and L2 norms unless DECAY_NORM. Those of quantizers have
// none and learn at the rate times `quantizer_lr_factor`. Parameters named in `undecayed` go
// without weight decay in any case. Throws ConfigError for another SOLVER.TYPE, Error for a name
// that is no parameter's.
std::unique_ptr<torch::optim::Optimizer> make_optimizer(
    const torch::nn::Module& module, const SolverConfig& solver, double quantizer_lr_factor = 1,
    const std::set<std::string>& undecayed = {});

// Groups with a factor of their own get `lr` times it.
void set_learning_rate(torch::optim::Optimizer& optimizer, double lr);

// Scales the gradients so that their common Euclidean norm is at most `max_norm`, and returns the
// norm that they had.
double clip_gradients(const std::vector<torch::Tensor>& parameters, double max_norm);

}  // namespace ssdq
