#include "ssdq/layers/squeeze_excite.h"

#include <torch/torch.h>

#include "ssdq/layers/functional.h"

namespace ssdq {

SqueezeExciteLayerImpl::SqueezeExciteLayerImpl(const SqueezeExciteOptions& options)
    : op_(options.op) {
  const int64_t inner = op_.squeeze_channels;
  squeeze = register_module(
      "squeeze", torch::nn::Conv2d(torch::nn::Conv2dOptions(options.channels, inner, 1)));
  excite = register_module("excite",
                           torch::nn::Conv2d(torch::nn::Conv2dOptions(inner, options.channels, 1)));
}

torch::Tensor SqueezeExciteLayerImpl::forward(const torch::Tensor& x) {
  const torch::Tensor inner = activate(squeeze->forward(x.mean({2, 3}, true)), op_.inner);
  const torch::Tensor gate = activate(excite->forward(inner), op_.gate);
  return activate(x * gate, op_.activation);
}

}  // namespace ssdq
