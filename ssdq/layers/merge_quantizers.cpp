#include "ssdq/layers/merge_quantizers.h"

#include <utility>

#include <fmt/format.h>
#include <torch/types.h>

namespace ssdq {

MergeQuantizersImpl::MergeQuantizersImpl(std::vector<QuantizerPtr> quantizers)
    : quantizers_(std::move(quantizers)) {
  for (size_t i = 0; i < quantizers_.size(); ++i) {
    register_module(
        quantizers_.size() == 1 ? "input_quantizer" : fmt::format("input_quantizer_{}", i),
        quantizers_[i]);
  }
}

std::vector<torch::Tensor> MergeQuantizersImpl::forward(const std::vector<torch::Tensor>& inputs) {
  std::vector<torch::Tensor> result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    result.push_back(quantizers_[quantizers_.size() == 1 ? 0 : i]->forward(inputs[i]));
  }
  return result;
}

}  // namespace ssdq
