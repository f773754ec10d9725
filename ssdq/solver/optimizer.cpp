#include "ssdq/solver/optimizer.h"

#include <utility>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

struct ParameterSplit {
  std::vector<torch::Tensor> decayed, undecayed;
};

ParameterSplit split_parameters(const torch::nn::Module& module, const SolverConfig& solver) {
  ParameterSplit split;
  for (const auto& item : module.named_modules("", true)) {
    const bool is_batch_norm = item.value()->as<torch::nn::BatchNorm2d>() != nullptr;
    for (const auto& parameter : item.value()->named_parameters(false)) {
      const bool is_bias = parameter.key() == "bias" && !is_batch_norm;
      const bool is_norm = parameter.value().dim() == 1 && !is_bias;
      const bool decay = (!is_bias || solver.decay_bias) && (!is_norm || solver.decay_norm);
      (decay ? split.decayed : split.undecayed).push_back(parameter.value());
    }
  }
  return split;
}

template <typename OptimizerType, typename OptionsType>
std::unique_ptr<torch::optim::Optimizer> make(ParameterSplit split, const OptionsType& options) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::move(split.decayed), std::make_unique<OptionsType>(options));
  if (!split.undecayed.empty()) {
    OptionsType without_decay = options;
    without_decay.weight_decay(0);
    groups.emplace_back(std::move(split.undecayed), std::make_unique<OptionsType>(without_decay));
  }
  return std::make_unique<OptimizerType>(std::move(groups), options);
}

}  // namespace

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const torch::nn::Module& module,
                                                        const SolverConfig& solver) {
  using torch::optim::AdamWOptions;
  using torch::optim::SGDOptions;
  ParameterSplit split = split_parameters(module, solver);
  if (solver.type == "sgd") {
    return make<torch::optim::SGD>(
        std::move(split),
        SGDOptions(solver.lr).momentum(solver.momentum).weight_decay(solver.weight_decay));
  }
  if (solver.type == "adamw") {
    return make<torch::optim::AdamW>(std::move(split),
                                     AdamWOptions(solver.lr).weight_decay(solver.weight_decay));
  }
  fail_config("SOLVER.TYPE: unknown name '{}' (known: adamw, sgd)", solver.type);
}

void set_learning_rate(torch::optim::Optimizer& optimizer, double lr) {
  for (torch::optim::OptimizerParamGroup& group : optimizer.param_groups()) {
    group.options().set_lr(lr);
  }
}

double clip_gradients(const std::vector<torch::Tensor>& parameters, double max_norm) {
  return torch::nn::utils::clip_grad_norm_(parameters, max_norm);
}

}  // namespace ssdq
