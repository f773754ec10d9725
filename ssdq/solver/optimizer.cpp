#include "ssdq/solver/optimizer.h"

#include <utility>

#include <torch/torch.h>

#include "ssdq/quantization/quantizer.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

struct ParameterSplit {
  std::vector<torch::Tensor> decayed, undecayed, of_quantizers;
};

// Options whose learning rate is always `factor` times what set_lr() is given.
template <typename Base>
class ScaledOptions : public Base {
 public:
  ScaledOptions(const Base& base, double factor) : Base(base), factor_(factor) {
    Base::set_lr(base.get_lr() * factor);
  }

  void set_lr(const double lr) override { Base::set_lr(lr * factor_); }

 private:
  std::unique_ptr<torch::optim::OptimizerOptions> clone() const override {
    return std::make_unique<ScaledOptions>(*this);
  }

  double factor_;
};

std::string join_names(const std::string& module, const std::string& parameter) {
  return module.empty() ? parameter : module + "." + parameter;
}

ParameterSplit split_parameters(const torch::nn::Module& module, const SolverConfig& solver,
                                const std::set<std::string>& undecayed) {
  ParameterSplit split;
  size_t found = 0;
  for (const auto& item : module.named_modules("", true)) {
    const bool is_quantizer = dynamic_cast<const QuantizerImpl*>(item.value().get()) != nullptr;
    const bool is_batch_norm = item.value()->as<torch::nn::BatchNorm2d>() != nullptr;
    for (const auto& parameter : item.value()->named_parameters(false)) {
      if (is_quantizer) {
        split.of_quantizers.push_back(parameter.value());
        continue;
      }
      const bool is_bias = parameter.key() == "bias" && !is_batch_norm;
      const bool is_norm = parameter.value().dim() == 1 && !is_bias;
      const bool named = undecayed.count(join_names(item.key(), parameter.key())) > 0;
      found += named ? 1 : 0;
      const bool decay =
          !named && (!is_bias || solver.decay_bias) && (!is_norm || solver.decay_norm);
      (decay ? split.decayed : split.undecayed).push_back(parameter.value());
    }
  }
  SSDQ_CHECK(found == undecayed.size(),
             "{} parameters are to go without weight decay, the network has {} of them",
             undecayed.size(), found);
  return split;
}

template <typename OptimizerType, typename OptionsType>
std::unique_ptr<torch::optim::Optimizer> make(ParameterSplit split, const OptionsType& options,
                                              double quantizer_lr_factor) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::move(split.decayed), std::make_unique<OptionsType>(options));
  OptionsType without_decay = options;
  without_decay.weight_decay(0);
  if (!split.undecayed.empty()) {
    groups.emplace_back(std::move(split.undecayed), std::make_unique<OptionsType>(without_decay));
  }
  if (!split.of_quantizers.empty()) {
    groups.emplace_back(
        std::move(split.of_quantizers),
        std::make_unique<ScaledOptions<OptionsType>>(without_decay, quantizer_lr_factor));
  }
  return std::make_unique<OptimizerType>(std::move(groups), options);
}

}  // namespace

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const torch::nn::Module& module,
                                                        const SolverConfig& solver,
                                                        double quantizer_lr_factor,
                                                        const std::set<std::string>& undecayed) {
  using torch::optim::AdamWOptions;
  using torch::optim::SGDOptions;
  ParameterSplit split = split_parameters(module, solver, undecayed);
  if (solver.type == "sgd") {
    return make<torch::optim::SGD>(
        std::move(split),
        SGDOptions(solver.lr).momentum(solver.momentum).weight_decay(solver.weight_decay),
        quantizer_lr_factor);
  }
  if (solver.type == "adamw") {
    return make<torch::optim::AdamW>(std::move(split),
                                     AdamWOptions(solver.lr).weight_decay(solver.weight_decay),
                                     quantizer_lr_factor);
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
