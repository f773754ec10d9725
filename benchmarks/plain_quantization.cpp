#include "plain_quantization.h"

#include <cmath>
#include <variant>

#include <torch/torch.h>

namespace {

struct RoundFunction : torch::autograd::Function<RoundFunction> {
  static torch::Tensor forward(torch::autograd::AutogradContext*, const torch::Tensor& x) {
    return torch::round(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    return {gradients[0].clone()};
  }
};

torch::Tensor pass_round(const torch::Tensor& x) { return RoundFunction::apply(x); }

torch::Tensor dorefa_input(const torch::Tensor& x, int bits) {
  const double levels = std::pow(2, bits) - 1;
  const torch::Tensor clamped = torch::clamp(x * 0.1, 0, 1);
  return pass_round(clamped * levels) / levels;
}

torch::Tensor dorefa_weight(const torch::Tensor& weight, int bits) {
  const double levels = std::pow(2, bits) - 1;
  const torch::Tensor t = torch::tanh(weight);
  const torch::Tensor unit = t / 2 / torch::max(torch::abs(t)) + 0.5;
  return 2 * (pass_round(unit * levels) / levels) - 1;
}

// Symmetric levels with `largest` at the end of the code.
torch::Tensor iao_quantize(const torch::Tensor& x, const torch::Tensor& largest, int bits) {
  const double top = std::pow(2, bits - 1) - 1;
  const torch::Tensor scale = top / largest;
  const torch::Tensor code = torch::clamp(pass_round(x * scale), -top - 1, top);
  return code / scale;
}

torch::Tensor per_channel(const torch::Tensor& x) { return x.view({1, -1, 1, 1}); }

}  // namespace

PlainConvImpl::PlainConvImpl(const PlainConvOptions& options)
    : method_(options.method), bits_(options.bits) {
  conv = register_module("conv", torch::nn::Conv2d(options.conv));
  if (options.bn) {
    bn = register_module("bn", torch::nn::BatchNorm2d(options.bn));
  }
  if (method_ == PlainMethod::kIao) {
    input_range_ = register_buffer("input_range", torch::zeros({}));
    weight_range_ = register_buffer("weight_range", torch::zeros({conv->weight.size(0), 1, 1, 1}));
  }
}

torch::Tensor PlainConvImpl::forward(const torch::Tensor& x) {
  if (method_ == PlainMethod::kIao) {
    return bn.is_empty() ? forward_iao(x) : forward_folded(x);
  }
  const torch::Tensor y = method_ == PlainMethod::kDoReFa ? forward_dorefa(x) : conv->forward(x);
  return bn.is_empty() ? y : bn->forward(y);
}

torch::Tensor PlainConvImpl::convolve(const torch::Tensor& x, const torch::Tensor& weight) {
  const auto& options = conv->options;
  using std::get;  // of std::variant here, found beside c10::variant in LibTorch 1
  const auto& padding = get<torch::ExpandingArray<2>>(options.padding());
  return torch::conv2d(x, weight, conv->bias, options.stride(), padding, options.dilation(),
                       options.groups());
}

torch::Tensor PlainConvImpl::forward_dorefa(const torch::Tensor& x) {
  return convolve(dorefa_input(x, bits_.abits), dorefa_weight(conv->weight, bits_.wbits));
}

torch::Tensor PlainConvImpl::forward_iao(const torch::Tensor& x) {
  return convolve(iao_input(x), iao_weight(conv->weight));
}

torch::Tensor PlainConvImpl::forward_folded(const torch::Tensor& x) {
  const torch::Tensor first = convolve(x, conv->weight);
  const torch::Tensor mean = torch::mean(first, {0, 2, 3});
  const torch::Tensor variance = torch::var(first, {0, 2, 3});
  {
    const torch::NoGradGuard no_grad;
    bn->running_mean.mul_(0.99).add_(mean, 0.01);
    bn->running_var.mul_(0.99).add_(variance, 0.01);
  }
  const double eps = bn->options.eps();
  const torch::Tensor running = torch::sqrt(bn->running_var + eps);
  const torch::Tensor batch = torch::sqrt(variance + eps);
  const torch::Tensor weight = conv->weight * (bn->weight / running).view({-1, 1, 1, 1});
  const torch::Tensor y = convolve(iao_input(x), iao_weight(weight));
  return y * per_channel(running / batch) + per_channel(bn->bias - mean * bn->weight / batch);
}

torch::Tensor PlainConvImpl::iao_input(const torch::Tensor& x) {
  {
    const torch::NoGradGuard no_grad;
    const torch::Tensor largest = torch::max(torch::abs(torch::min(x)), torch::abs(torch::max(x)));
    const bool first = input_range_.item<float>() == 0;
    input_range_.copy_(first ? largest : input_range_ * 0.9 + largest * 0.1);
  }
  return iao_quantize(x, input_range_.clone(), bits_.abits);
}

torch::Tensor PlainConvImpl::iao_weight(const torch::Tensor& weight) {
  {
    const torch::NoGradGuard no_grad;
    const torch::Tensor rows = weight.view({weight.size(0), -1});
    const torch::Tensor low = std::get<0>(torch::min(rows, 1));
    const torch::Tensor high = std::get<0>(torch::max(rows, 1));
    const torch::Tensor largest = torch::max(torch::abs(low), torch::abs(high));
    weight_range_.copy_(torch::max(weight_range_, largest.view_as(weight_range_)));
  }
  return iao_quantize(weight, weight_range_.clone(), bits_.wbits);
}
