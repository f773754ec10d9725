#include "ssdq/layers/functional.h"

#include <utility>

#include <torch/torch.h>

#include "ssdq/quantization/fake_quantize.h"

namespace ssdq {
namespace {

// Written with clamp where LibTorch 1.13 has no bfloat16 backward of the named operator. Float has
// one, several times as fast as that of clamp.
bool has_named_backward(const torch::Tensor& x) { return x.scalar_type() == torch::kFloat; }

std::vector<int64_t> pair(Size2 size) { return {size.height, size.width}; }

torch::Tensor hard_sigmoid(const torch::Tensor& x) { return (x + 3).clamp(0, 6) / 6; }

}  // namespace

torch::Tensor activate(const torch::Tensor& x, Activation activation, double slope) {
  switch (activation) {
    case Activation::kLinear:
      return x;
    case Activation::kRelu:
      return torch::relu(x);
    case Activation::kRelu6:
      return has_named_backward(x) ? torch::hardtanh(x, 0, 6) : clamp_with_mask(x, 0, 6);
    case Activation::kLeaky:
      return torch::leaky_relu(x, slope);
    case Activation::kHSwish:
      return has_named_backward(x) ? torch::hardswish(x) : x * hard_sigmoid(x);
    case Activation::kSwish:
      return torch::silu(x);
    case Activation::kHSigmoid:
      return hard_sigmoid(x);
    case Activation::kSigmoid:
      return torch::sigmoid(x);
  }
  return x;
}

torch::Tensor activate_fresh(torch::Tensor x, Activation activation, double slope) {
  if (activation == Activation::kRelu) {
    return x.relu_();
  }
  if (activation == Activation::kRelu6 && has_named_backward(x)) {
    return torch::hardtanh_(x, 0, 6);
  }
  return activate(x, activation, slope);
}

torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight,
                       const torch::Tensor& bias, const Conv& conv) {
  const auto [before, after] =
      padding_of(conv, {static_cast<int>(x.size(2)), static_cast<int>(x.size(3))});
  const bool symmetric = before == after;
  const torch::Tensor input =
      symmetric
          ? x
          : torch::constant_pad_nd(x, {before.width, after.width, before.height, after.height});
  return torch::conv2d(input, weight, bias, pair(conv.stride),
                       pair(symmetric ? before : Size2{0, 0}), pair(conv.dilation), conv.groups);
}

torch::Tensor pool(const torch::Tensor& x, const Pool& options) {
  if (options.global) {
    return options.kind == PoolKind::kMax ? x.amax({2, 3}, true) : x.mean({2, 3}, true);
  }
  const std::vector<int64_t> kernel{options.kernel.height, options.kernel.width};
  const std::vector<int64_t> stride{options.stride.height, options.stride.width};
  const std::vector<int64_t> padding{options.padding.height, options.padding.width};
  if (options.kind == PoolKind::kMax) {
    return torch::max_pool2d(x, kernel, stride, padding, 1, options.ceil_mode);
  }
  return torch::avg_pool2d(x, kernel, stride, padding, options.ceil_mode);
}

torch::Tensor add(const std::vector<torch::Tensor>& inputs, const Add& options) {
  torch::Tensor sum = inputs.at(0) + inputs.at(1);
  for (size_t i = 2; i < inputs.size(); ++i) {
    sum = sum + inputs[i];
  }
  return activate_fresh(std::move(sum), options.activation, options.leaky_slope);
}

torch::Tensor upsample(const torch::Tensor& x, const Upsample& options) {
  const std::vector<double> factors(2, options.factor);
  return torch::upsample_nearest2d(x, c10::nullopt, at::ArrayRef<double>(factors));
}

}  // namespace ssdq
