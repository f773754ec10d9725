#include "ssdq/engine/hooks/shared_statistics.h"

#include <utility>

#include <torch/torch.h>

namespace ssdq {

SharedStatistics::SharedStatistics(std::shared_ptr<ProcessGroup> group, const Detector& detector)
    : group_(std::move(group)) {
  for (const auto& buffer : detector->buffers()) {
    if (buffer.is_floating_point() && buffer.numel() > 0) buffers_.push_back(buffer);
  }
}

void SharedStatistics::after_step(Trainer&) {
  if (buffers_.empty()) {
    return;
  }
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> flat;
  for (const auto& buffer : buffers_) {
    flat.push_back(buffer.flatten().to(torch::kFloat64));
  }
  const auto all = torch::cat(flat);
  group_->broadcast(all, 0);
  int64_t at = 0;
  for (auto& buffer : buffers_) {
    buffer.copy_(all.narrow(0, at, buffer.numel()).view(buffer.sizes()));
    at += buffer.numel();
  }
}

}  // namespace ssdq
