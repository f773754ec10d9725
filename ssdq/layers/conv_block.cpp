#include "ssdq/layers/conv_block.h"

#include <utility>

#include <torch/torch.h>

#include "ssdq/layers/functional.h"

namespace ssdq {
namespace {

std::vector<int64_t> pair(Size2 size) { return {size.height, size.width}; }

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

torch::Tensor ConvBlockImpl::effective_weight() {
  return options_.weight_quantizer ? options_.weight_quantizer->forward(weight) : weight;
}

torch::Tensor ConvBlockImpl::forward(const torch::Tensor& x) {
  const Conv& conv = options_.conv;
  const torch::Tensor input = options_.input_quantizer ? options_.input_quantizer->forward(x) : x;
  torch::Tensor y = torch::conv2d(input, effective_weight(), bias, pair(conv.stride),
                                  pair(conv.padding), pair(conv.dilation), conv.groups);
  if (!bn.is_empty()) {
    y = bn->forward(y);
  }
  return activate_fresh(std::move(y), conv.activation, conv.leaky_slope);
}

void ConvBlockImpl::fold_batch_norm() {
  if (bn.is_empty()) {
    return;
  }
  const torch::NoGradGuard no_grad;
  const torch::Tensor scale = bn->weight / (bn->running_var + options_.conv.batch_norm->eps).sqrt();
  weight.set_data(effective_weight() * scale.view({-1, 1, 1, 1}));
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
