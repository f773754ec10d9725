#include "ssdq/solver/optimizer_state.h"

#include <memory>
#include <sstream>
#include <type_traits>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using torch::optim::AdamWParamState;
using torch::optim::SGDParamState;

using StateMap = std::decay_t<decltype(std::declval<torch::optim::Optimizer&>().state())>;

// LibTorch keys the state by the tensor's address, as text before 2.1.
template <typename Key = StateMap::key_type>
Key key_of(const torch::Tensor& parameter) {
  if constexpr (std::is_same_v<Key, std::string>) {
    std::ostringstream text;
    text << parameter.unsafeGetTensorImpl();
    return text.str();
  } else {
    return parameter.unsafeGetTensorImpl();
  }
}

bool is_sgd(const torch::optim::Optimizer& optimizer) {
  return dynamic_cast<const torch::optim::SGD*>(&optimizer) != nullptr;
}

torch::Tensor copy_like(const torch::Tensor& parameter, const torch::Tensor& source,
                        const std::string& name) {
  SSDQ_CHECK(source.sizes() == parameter.sizes(),
             "optimizer state '{}' has shape [{}], its parameter has [{}]", name,
             fmt::join(source.sizes().vec(), ", "), fmt::join(parameter.sizes().vec(), ", "));
  return torch::empty_like(parameter, torch::TensorOptions().requires_grad(false)).copy_(source);
}

template <typename ParamState>
ParamState& entry_of(torch::optim::Optimizer& optimizer, const torch::Tensor& parameter) {
  auto& entry = optimizer.state()[key_of(parameter)];
  if (!entry) {
    entry = std::make_unique<ParamState>();
  }
  return static_cast<ParamState&>(*entry);
}

void load_sgd(torch::optim::Optimizer& optimizer, const torch::Tensor& parameter,
              const std::string& kind, const torch::Tensor& source, const std::string& name) {
  SSDQ_CHECK(kind == "momentum_buffer", "optimizer state '{}' does not belong to SGD", name);
  entry_of<SGDParamState>(optimizer, parameter).momentum_buffer(copy_like(parameter, source, name));
}

void load_adamw(torch::optim::Optimizer& optimizer, const torch::Tensor& parameter,
                const std::string& kind, const torch::Tensor& source, const std::string& name) {
  auto& entry = entry_of<AdamWParamState>(optimizer, parameter);
  if (kind == "step") {
    entry.step(source.item<int64_t>());
  } else if (kind == "exp_avg") {
    entry.exp_avg(copy_like(parameter, source, name));
  } else if (kind == "exp_avg_sq") {
    entry.exp_avg_sq(copy_like(parameter, source, name));
  } else {
    fail("optimizer state '{}' does not belong to AdamW", name);
  }
}

}  // namespace

State optimizer_state(torch::optim::Optimizer& optimizer, const torch::nn::Module& module) {
  State result;
  for (const auto& item : module.named_parameters()) {
    const auto found = optimizer.state().find(key_of(item.value()));
    if (found == optimizer.state().end()) {
      continue;
    }
    const std::string& name = item.key();
    if (is_sgd(optimizer)) {
      const auto& entry = static_cast<SGDParamState&>(*found->second);
      if (entry.momentum_buffer().defined()) {
        result.emplace_back(name + ".momentum_buffer", entry.momentum_buffer());
      }
    } else {
      const auto& entry = static_cast<AdamWParamState&>(*found->second);
      result.emplace_back(name + ".step", torch::tensor(entry.step(), torch::kLong));
      result.emplace_back(name + ".exp_avg", entry.exp_avg());
      result.emplace_back(name + ".exp_avg_sq", entry.exp_avg_sq());
    }
  }
  return result;
}

void load_optimizer_state(torch::optim::Optimizer& optimizer, const torch::nn::Module& module,
                          const State& source) {
  const torch::NoGradGuard no_grad;
  optimizer.state().clear();
  const auto parameters = module.named_parameters();
  for (const auto& [name, tensor] : source) {
    const size_t dot = name.rfind('.');
    const torch::Tensor* parameter =
        dot == std::string::npos ? nullptr : parameters.find(name.substr(0, dot));
    SSDQ_CHECK(parameter != nullptr, "optimizer state '{}' belongs to no parameter of the model",
               name);
    const std::string kind = name.substr(dot + 1);
    (is_sgd(optimizer) ? load_sgd : load_adamw)(optimizer, *parameter, kind, tensor, name);
  }
}

void reset_optimizer_state(torch::optim::Optimizer& optimizer,
                           const std::vector<torch::Tensor>& parameters) {
  for (const torch::Tensor& parameter : parameters) {
    optimizer.state().erase(key_of(parameter));
  }
}

}  // namespace ssdq
