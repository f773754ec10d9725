#include "ssdq/solver/ema.h"

#include <algorithm>
#include <map>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr const char* kNumUpdates = "num_updates";

}  // namespace

Ema::Ema(std::shared_ptr<torch::nn::Module> module, double decay)
    : module_(std::move(module)), decay_(decay) {
  for (const auto& item : module_->named_parameters()) {
    live_.emplace_back(item.key(), item.value());
  }
  for (const auto& item : module_->named_buffers()) {
    live_.emplace_back(item.key(), item.value());
  }
  for (const auto& [name, tensor] : live_) {
    averages_.emplace_back(name, tensor.detach().clone());
  }
}

void Ema::update() {
  const torch::NoGradGuard no_grad;
  const auto n = static_cast<double>(num_updates_++);
  const double keep = std::min(decay_, (1 + n) / (10 + n));
  for (size_t i = 0; i < live_.size(); ++i) {
    torch::Tensor& average = averages_[i].second;
    if (average.is_floating_point()) {
      average.lerp_(live_[i].second, 1 - keep);
    } else {
      average.copy_(live_[i].second);
    }
  }
}

void Ema::restart(const std::vector<torch::Tensor>& tensors) {
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < live_.size(); ++i) {
    const auto same = [&](const torch::Tensor& one) { return one.is_same(live_[i].second); };
    if (std::any_of(tensors.begin(), tensors.end(), same)) {
      averages_[i].second.copy_(live_[i].second);
    }
  }
}

void Ema::swap() {
  for (size_t i = 0; i < live_.size(); ++i) {
    torch::Tensor values = live_[i].second.tensor_data();
    live_[i].second.set_data(averages_[i].second);
    averages_[i].second = std::move(values);
  }
}

State Ema::state() const {
  State result = averages_;
  result.emplace_back(kNumUpdates, torch::tensor(num_updates_, torch::kLong));
  return result;
}

void Ema::load_state(const State& source) {
  const torch::NoGradGuard no_grad;
  const std::map<std::string, torch::Tensor> given(source.begin(), source.end());
  const auto take = [&](const std::string& name) -> const torch::Tensor& {
    const auto found = given.find(name);
    SSDQ_CHECK(found != given.end(), "the averaged weights lack '{}'", name);
    return found->second;
  };
  for (auto& [name, average] : averages_) {
    const torch::Tensor& value = take(name);
    SSDQ_CHECK(value.sizes() == average.sizes(), "the averaged weight '{}' has another shape",
               name);
    average.copy_(value);
  }
  num_updates_ = take(kNumUpdates).item<int64_t>();
}

}  // namespace ssdq
