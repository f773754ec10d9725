#pragma once

#include <utility>

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/pimpl.h>

#include "ssdq/graph/graph.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq {

struct ConvBlockOptions {
  int64_t in_channels = 0;
  Conv conv;
  QuantizerPtr weight_quantizer;    // null: none
  QuantizerPtr input_quantizer;     // null: none
  bool input_is_quantized = false;  // the block in front applies input_quantizer
  BatchNormFolding folding = BatchNormFolding::kNone;
};

// Input quantizer, convolution with quantized weight, batch norm, activation: one Conv node of the
// graph. A block whose output goes to one other block only may apply that one's input quantizer on
// the way (quantize_output), which saves passes over memory and changes no number. forward() maps
// [N, in_channels, H, W] to [N, out_channels, H', W'].
//
// With kTwoPass folding the weight is quantized after the scale of the batch norm has been put into
// it, w' = w gamma / sqrt(running variance + eps). In training a convolution of the float input and
// weight gives the batch statistics mu, sigma, and the output is conv(x_q, Q(w')) sigma_running /
// sigma + beta - mu gamma / sigma; with batch norm in evaluation mode, the running ones take their
// place (Jacob et al., arXiv:1712.05877, section 3.2; the correction of its released code).
//
// Tensors: "weight" [out, in / groups, kh, kw]; "bias" [out] when the convolution has one and no
// batch norm; "bn.*"; those of "weight_quantizer" and "input_quantizer".
class ConvBlockImpl : public torch::nn::Module {
 public:
  explicit ConvBlockImpl(ConvBlockOptions options);

  torch::Tensor forward(const torch::Tensor& x);

  // The weight that the convolution uses: quantized if the block quantizes it, and folded with the
  // running statistics if that comes first.
  torch::Tensor effective_weight();

  // Puts the batch norm's running statistics into weight and bias and removes it; for evaluation,
  // the output changes by rounding only. A quantized weight is stored as its quantized values times
  // the scale of the batch norm and is not quantized again; the input quantizer stays. Does nothing
  // without a batch norm.
  void fold_batch_norm();

  // Whether quantize_output saves anything here.
  bool can_quantize_output() const;
  void quantize_output(QuantizerPtr quantizer) { output_quantizer_ = std::move(quantizer); }

  const Conv& conv() const { return options_.conv; }
  const ConvBlockOptions& options() const { return options_; }

  // What goes to the weight quantizer in evaluation: the weight, with the batch norm's scale in it
  // where that is folded first.
  torch::Tensor weight_to_quantize() const;
  // gamma / sqrt(running variance + eps), [out]; the block must have a batch norm.
  torch::Tensor running_scale() const;
  // Whether the scale of the batch norm is in effective_weight().
  bool folds_first() const;

  torch::Tensor weight, bias;
  torch::nn::BatchNorm2d bn{nullptr};

 private:
  torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight) const;
  torch::Tensor two_pass(const torch::Tensor& x, const torch::Tensor& quantized_input);

  ConvBlockOptions options_;
  QuantizerPtr output_quantizer_;  // registered by the block behind
};
TORCH_MODULE(ConvBlock);

}  // namespace ssdq
