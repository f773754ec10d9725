#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/pimpl.h>

#include "ssdq/graph/graph.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq {

struct ConvBlockOptions {
  int64_t in_channels = 0;
  Conv conv;
  QuantizerPtr weight_quantizer;  // null: none
  QuantizerPtr input_quantizer;   // null: none
};

// Input quantizer, convolution with quantized weight, batch norm, activation: one Conv node of the
// graph. forward() maps [N, in_channels, H, W] to [N, out_channels, H', W'].
//
// Tensors: "weight" [out, in / groups, kh, kw]; "bias" [out] when the convolution has one and no
// batch norm; "bn.*"; those of "weight_quantizer" and "input_quantizer".
class ConvBlockImpl : public torch::nn::Module {
 public:
  explicit ConvBlockImpl(ConvBlockOptions options);

  torch::Tensor forward(const torch::Tensor& x);

  // The weight that the convolution uses: quantized if the block quantizes it.
  torch::Tensor effective_weight();

  // Puts the batch norm's running statistics into weight and bias and removes it; for evaluation,
  // the output changes by rounding only. A quantized weight is stored as its quantized values times
  // the scale of the batch norm and is not quantized again; the input quantizer stays. Does nothing
  // without a batch norm.
  void fold_batch_norm();

  const Conv& conv() const { return options_.conv; }

  torch::Tensor weight, bias;
  torch::nn::BatchNorm2d bn{nullptr};

 private:
  ConvBlockOptions options_;
};
TORCH_MODULE(ConvBlock);

}  // namespace ssdq
