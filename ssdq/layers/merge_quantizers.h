#pragma once

#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// Quantizes the inputs of an add or concat: with one quantizer for all ("input_quantizer": they
// share a step) or one for each ("input_quantizer_0", ...: an integer run time rescales them).
class MergeQuantizersImpl : public torch::nn::Module {
 public:
  explicit MergeQuantizersImpl(std::vector<QuantizerPtr> quantizers);

  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& inputs);

 private:
  std::vector<QuantizerPtr> quantizers_;
};
TORCH_MODULE(MergeQuantizers);

}  // namespace ssdq
