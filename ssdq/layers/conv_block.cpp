#include "ssdq/layers/conv_block.h"

#include <algorithm>
#include <utility>

#include <torch/torch.h>

#include "ssdq/layers/batch_norm_activation.h"
#include "ssdq/layers/functional.h"
#include "ssdq/layers/synchronised_batch_norm.h"

namespace ssdq {
namespace {

// [C] as it broadcasts over weights [C, ...] and over maps [N, C, H, W].
torch::Tensor by_channel(const torch::Tensor& x) { return x.view({-1, 1, 1, 1}); }
torch::Tensor map_of(const torch::Tensor& x) { return x.view({1, -1, 1, 1}); }

// Mean and biased variance of each channel of [N, C, H, W].
BatchStatistics batch_statistics(const torch::Tensor& y) {
  if (const auto reducer = batch_norm_statistics()) {
    return synchronised_statistics(y, reducer);
  }
  const torch::Tensor wide = y.to(torch::kFloat);
  return {wide.mean({0, 2, 3}), wide.var({0, 2, 3}, /*unbiased=*/false),
          torch::scalar_tensor(y.numel() / y.size(1), torch::kDouble)};
}

}  // namespace

ConvBlockImpl::ConvBlockImpl(ConvBlockOptions options) : options_(std::move(options)) {
  const Conv& conv = options_.conv;
  const int64_t out = conv.out_channels;
  weight = register_parameter("weight", torch::empty({out, options_.in_channels / conv.groups,
                                                      conv.kernel.height, conv.kernel.width}));
  torch::nn::init::kaiming_uniform_(weight);
  if (conv.batch_norm) {
    bn = register_module("bn", torch::nn::BatchNorm2d(torch::nn::BatchNorm2dOptions(out)
                                                          .eps(conv.batch_norm->eps)
                                                          .momentum(conv.batch_norm->momentum)));
  } else if (conv.bias) {
    bias = register_parameter("bias", torch::zeros({out}));
  }
  if (options_.weight_quantizer) {
    register_module("weight_quantizer", options_.weight_quantizer);
  }
  if (options_.input_quantizer) {
    register_module("input_quantizer", options_.input_quantizer);
  }
}

bool ConvBlockImpl::folds_first() const {
  return options_.folding == BatchNormFolding::kTwoPass && !bn.is_empty() &&
         options_.weight_quantizer && options_.weight_quantizer->mode().quantize;
}

torch::Tensor ConvBlockImpl::running_scale() const {
  return bn->weight / (bn->running_var + bn->options.eps()).sqrt();
}

torch::Tensor ConvBlockImpl::weight_to_quantize() const {
  return folds_first() ? weight * by_channel(running_scale()) : weight;
}

torch::Tensor ConvBlockImpl::effective_weight() {
  return options_.weight_quantizer ? options_.weight_quantizer->forward(weight_to_quantize())
                                   : weight;
}

torch::Tensor ConvBlockImpl::convolve(const torch::Tensor& x, const torch::Tensor& w) const {
  return ssdq::convolve(x, w, bias, options_.conv);
}

torch::Tensor ConvBlockImpl::two_pass(const torch::Tensor& x, const torch::Tensor& input) {
  if (!bn->is_training()) {
    const torch::Tensor shift = bn->bias - bn->running_mean * running_scale();
    return convolve(input, effective_weight()) + map_of(shift);
  }
  const torch::Tensor unquantized = convolve(x, weight);
  const auto [mean, variance, count] = batch_statistics(unquantized);
  update_running_statistics(*bn, mean.detach(), variance.detach(), count);
  const torch::Tensor sigma = (variance + bn->options.eps()).sqrt();
  const torch::Tensor ratio = (bn->running_var + bn->options.eps()).sqrt() / sigma;
  const torch::Tensor shift = bn->bias - mean * bn->weight / sigma;
  return convolve(input, effective_weight()) * map_of(ratio) + map_of(shift);
}

bool ConvBlockImpl::can_quantize_output() const {
  const Activation activation = options_.conv.activation;
  return !bn.is_empty() && options_.folding == BatchNormFolding::kNone &&
         (activation == Activation::kLinear || activation == Activation::kRelu ||
          activation == Activation::kRelu6);
}

torch::Tensor ConvBlockImpl::forward(const torch::Tensor& x) {
  const Conv& conv = options_.conv;
  const bool quantizes = options_.input_quantizer && !options_.input_is_quantized;
  const torch::Tensor input = quantizes ? options_.input_quantizer->forward(x) : x;
  if (!folds_first() && !bn.is_empty()) {
    return batch_norm_activation(convolve(input, effective_weight()), bn,
                                 {conv.activation, conv.leaky_slope, output_quantizer_});
  }
  torch::Tensor y = folds_first() ? two_pass(x, input) : convolve(input, effective_weight());
  y = activate_fresh(std::move(y), conv.activation, conv.leaky_slope);
  return output_quantizer_ ? output_quantizer_->forward(y) : y;
}

void ConvBlockImpl::fold_batch_norm() {
  if (bn.is_empty()) {
    return;
  }
  const torch::NoGradGuard no_grad;
  const torch::Tensor scale = running_scale();
  weight.set_data(folds_first() ? effective_weight() : effective_weight() * by_channel(scale));
  bias = register_parameter("bias", bn->bias - bn->running_mean * scale);
  unregister_module("bn");
  bn = nullptr;
  if (options_.weight_quantizer) {
    unregister_module("weight_quantizer");
    options_.weight_quantizer = nullptr;
  }
  options_.conv.batch_norm.reset();
  options_.conv.bias = true;
}

}  // namespace ssdq
