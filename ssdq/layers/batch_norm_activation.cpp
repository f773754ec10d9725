#include "ssdq/layers/batch_norm_activation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <torch/torch.h>

#include "ssdq/kernels/dispatch.h"
#include "ssdq/layers/channel_layout.h"
#include "ssdq/layers/channel_statistics.h"
#include "ssdq/layers/functional.h"
#include "ssdq/layers/synchronised_batch_norm.h"
#include "ssdq/quantization/affine_rows.h"
#include "ssdq/quantization/rows.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What one call does besides its tensors with gradients.
struct Call {
  ChannelNormalization normalization;
  double count = kInfinity;      // numbers of a channel behind them; infinite if not those of x
  StatisticsReducerPtr reducer;  // of the ranks whose numbers they are; null: this one's
  float low = 0, high = 0;       // of the activation
  std::optional<FakeQuantization> quantization;
};

// A code between the forward and the backward pass: the fields of AffineRow, then whether there is
// one.
torch::Tensor saved_code(const std::optional<FakeQuantization>& quantization) {
  const AffineRow row = quantization ? affine_rows(quantization->code).front() : AffineRow();
  return torch::tensor({row.gain, row.step, row.offset, row.low, row.high, row.inside_low,
                        row.inside_high, row.out_step, quantization ? 1.F : 0.F});
}

AffineRow code_of(const torch::Tensor& saved) {
  const auto* v = saved.data_ptr<float>();
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]};
}

CodeGradient rule_of(const Learned learned) {
  return learned == Learned::kClip   ? CodeGradient::kClip
         : learned == Learned::kStep ? CodeGradient::kStep
                                     : CodeGradient::kNone;
}

// What is kept for the backward pass, in this order.
enum Saved { kX, kStep, kOffset, kAlpha, kNormalization, kCode };

struct BackwardPass {
  torch::Tensor x, g;
  ChannelLayout layout;
  ChannelNormalization normalization;
  std::vector<float> scales, shifts, means;
  AffineRow code;
  bool has_code;
  double population;
  float low, high, slope;
  Learned learned;

  BackwardPass(AutogradContext* context, const variable_list& saved, const torch::Tensor& upstream)
      : x(saved[kX]),
        g(upstream.to(x.scalar_type()).contiguous(torch::MemoryFormat::ChannelsLast)),
        layout(x),
        normalization(ChannelNormalization::unpacked(saved[kNormalization])),
        scales(layout.columns(normalization.scale)),
        shifts(layout.columns(normalization.shift)),
        means(layout.columns(normalization.mean)),
        code(code_of(saved[kCode])),
        has_code(saved[kCode].data_ptr<float>()[8] != 0),
        population(context->saved_data["count"].toDouble()),
        low(static_cast<float>(context->saved_data["low"].toDouble())),
        high(static_cast<float>(context->saved_data["high"].toDouble())),
        slope(static_cast<float>(context->saved_data["slope"].toDouble())),
        learned(static_cast<Learned>(context->saved_data["learned"].toInt())) {}

  Columns columns(int64_t count) const {
    const AffineRow* row = has_code ? &code : nullptr;
    return {count, layout.width(), scales.data(), shifts.data(), low, high, row};
  }

  // Of the gradients that pass, and of their products with x less its mean.
  std::array<ChannelValues, 2> sums(CodeSums& of_code) const {
    std::vector<CodeSums> parts(static_cast<size_t>(layout.chunks()));
    auto result = with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      return layout.sums(
          [&](int64_t begin, int64_t count, int64_t chunk, double* first, double* second) {
            parts[static_cast<size_t>(chunk)] =
                kernel.column_gradient_sums(data<T>(x) + begin, data<T>(g) + begin, columns(count),
                                            {means.data(), first, second}, rule_of(learned), slope);
          });
    });
    for (const CodeSums& part : parts) {
      of_code.first += part.first;
      of_code.second += part.second;
    }
    return result;
  }

  // With statistics of x itself: the gradient less its mean and its projection on x.
  torch::Tensor gradient(const std::array<ChannelValues, 2>& sums) const {
    ChannelValues slope_of, constant_of;
    for (size_t c = 0; c < sums[0].size(); ++c) {
      const double variance = normalization.deviation[c] * normalization.deviation[c];
      slope_of.push_back(-normalization.scale[c] * sums[1][c] / (variance * population));
      constant_of.push_back(-normalization.scale[c] * sums[0][c] / population);
    }
    const std::vector<float> slopes = layout.columns(slope_of),
                             constants = layout.columns(constant_of);
    torch::Tensor gx = torch::empty_like(x);
    with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      layout.for_chunks([&](int64_t begin, int64_t numbers, int64_t) {
        kernel.column_gradient(data<T>(x) + begin, data<T>(g) + begin, data<T>(gx) + begin,
                               columns(numbers), {means.data(), slopes.data(), constants.data()},
                               slope);
      });
    });
    return gx;
  }
};

struct BatchNormActivation : torch::autograd::Function<BatchNormActivation> {
  // `step`, `offset`, `alpha`: of the quantization, for their gradients; empty without.
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& /*weight*/, const torch::Tensor& /*bias*/,
                               const torch::Tensor& step, const torch::Tensor& offset,
                               const torch::Tensor& alpha, const Call& call) {
    const torch::Tensor code = saved_code(call.quantization);
    context->save_for_backward({x, step, offset, alpha, call.normalization.packed(), code});
    const FakeQuantization quantization = call.quantization.value_or(FakeQuantization());
    context->saved_data["count"] = call.count;
    context->saved_data["reducer"] = saved_reducer(call.reducer);
    context->saved_data["low"] = static_cast<double>(call.low);
    context->saved_data["high"] = static_cast<double>(call.high);
    context->saved_data["learned"] = static_cast<int64_t>(quantization.learned);
    context->saved_data["slope"] = quantization.slope;
    context->saved_data["decay"] = quantization.decay;
    context->saved_data["gradient_scale"] = quantization.gradient_scale;
    return result(x, call, code_of(code));
  }

  static torch::Tensor result(const torch::Tensor& x, const Call& call, const AffineRow& code) {
    const ChannelLayout layout(x);
    const std::vector<float> scales = layout.columns(call.normalization.scale),
                             shifts = layout.columns(call.normalization.shift);
    torch::Tensor y = torch::empty_like(x);
    std::vector<uint8_t> good(static_cast<size_t>(layout.chunks()), 1);
    with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      layout.for_chunks([&](int64_t begin, int64_t count, int64_t chunk) {
        good[static_cast<size_t>(chunk)] = static_cast<uint8_t>(
            kernel.column_affine(data<T>(x) + begin, data<T>(y) + begin,
                                 {count, layout.width(), scales.data(), shifts.data(), call.low,
                                  call.high, call.quantization ? &code : nullptr}));
      });
    });
    if (call.quantization) {
      require_finite(good);
    }
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const BackwardPass pass(context, saved, gradients[0]);
    CodeSums of_code;
    const auto sums = pass.sums(of_code);
    torch::Tensor gx;
    if (context->needs_input_grad(0)) {
      auto of_all = sums;
      gather_sums(of_all, reducer_of(context->saved_data["reducer"]));
      gx = pass.gradient(of_all);
    }
    const torch::Tensor to_weight = torch::empty({pass.layout.channels()}),
                        to_bias = torch::empty_like(to_weight);
    for (size_t c = 0; c < sums[0].size(); ++c) {
      to_weight.data_ptr<float>()[c] =
          static_cast<float>(sums[1][c] / pass.normalization.deviation[c]);
      to_bias.data_ptr<float>()[c] = static_cast<float>(sums[0][c]);
    }
    variable_list result{gx, to_weight, to_bias, Variable(), Variable(), Variable(), Variable()};
    add_code_gradients(context, pass.learned, pass.code, of_code, saved, result);
    return result;
  }

  // The gradients of step, offset and alpha, at places 3 to 5 of `result`.
  static void add_code_gradients(AutogradContext* context, Learned learned, const AffineRow& code,
                                 const CodeSums& sums, const variable_list& saved,
                                 variable_list& result) {
    const auto filled = [](const torch::Tensor& parameter, double value) {
      return parameter.numel() > 0 ? torch::full_like(parameter, value) : Variable();
    };
    if (learned == Learned::kClip) {
      // The lower end of the clamp moves with alpha too, unless it is 0.
      const double below = static_cast<double>(code.low) / static_cast<double>(code.high);
      const torch::Tensor alpha = saved[kAlpha].detach();
      result[5] = filled(alpha, sums.first + below * sums.second) +
                  2 * context->saved_data["decay"].toDouble() * alpha;
    }
    if (learned == Learned::kStep) {
      const double scale = context->saved_data["gradient_scale"].toDouble();
      result[3] = filled(saved[kStep].detach(), sums.first * scale);
      result[4] = filled(saved[kOffset].detach(), sums.second * scale);
    }
  }
};

bool has_kernel(const torch::Tensor& x, const torch::nn::BatchNorm2dImpl& bn,
                const ActivationOptions& options) {
  const bool clamps = options.activation == Activation::kLinear ||
                      options.activation == Activation::kRelu ||
                      options.activation == Activation::kRelu6;
  return clamps && is_fused(x) && x.dim() == 4 && x.numel() > x.size(1) &&
         x.is_contiguous(torch::MemoryFormat::ChannelsLast) && bn.weight.defined() &&
         bn.weight.scalar_type() == torch::kFloat && bn.running_mean.defined();
}

torch::Tensor one_after_the_other(const torch::Tensor& x, torch::nn::BatchNorm2d& bn,
                                  const ActivationOptions& options) {
  const auto reducer = bn->is_training() ? batch_norm_statistics() : nullptr;
  torch::Tensor y = reducer ? synchronised_batch_norm(x, *bn, reducer) : bn->forward(x);
  y = activate_fresh(std::move(y), options.activation, options.leaky_slope);
  return options.quantizer ? options.quantizer->forward(y) : y;
}

// Shows the quantizer the extremes that the activation will have. All steps from x to there are
// monotonic, in rounding too, so the extremes of x by channel tell.
void show_extremes(QuantizerImpl& quantizer, const ChannelStatistics& of_x, const Call& call) {
  float min = static_cast<float>(kInfinity), max = -min;
  bool finite = true;
  for (size_t c = 0; c < of_x.min.size(); ++c) {
    const auto scale = static_cast<float>(call.normalization.scale[c]),
               shift = static_cast<float>(call.normalization.shift[c]);
    for (const float x : {of_x.min[c], of_x.max[c]}) {
      const float a = std::min(std::max(x * scale + shift, call.low), call.high);
      finite = finite && std::isfinite(a);
      min = std::min(min, a);
      max = std::max(max, a);
    }
  }
  if (!finite) {
    throw NonFinite("holds an infinity or NaN");
  }
  quantizer.show_extremes(torch::scalar_tensor(min), torch::scalar_tensor(max));
}

// With the statistics of x, which then move the running ones, or with those.
ChannelNormalization normalize(torch::nn::BatchNorm2dImpl& bn, bool own,
                               const ChannelStatistics& of_x) {
  ChannelNormalization result;
  result.mean = own ? of_x.mean : channel_values(bn.running_mean);
  const ChannelValues variance = own ? of_x.variance : channel_values(bn.running_var);
  if (own) {
    const auto tensor = [](const ChannelValues& values) {
      return torch::tensor(values, torch::dtype(torch::kDouble));
    };
    update_running_statistics(bn, tensor(result.mean), tensor(variance), tensor({of_x.count})[0]);
  }
  const ChannelValues weight = channel_values(bn.weight), bias = channel_values(bn.bias);
  for (size_t c = 0; c < weight.size(); ++c) {
    result.deviation.push_back(std::sqrt(variance[c] + bn.options.eps()));
    result.scale.push_back(weight[c] / result.deviation[c]);
    result.shift.push_back(bias[c] - result.mean[c] * result.scale[c]);
  }
  return result;
}

torch::Tensor fused(const torch::Tensor& x, torch::nn::BatchNorm2d& bn,
                    const ActivationOptions& options) {
  Call call;
  call.low = options.activation == Activation::kLinear ? static_cast<float>(-kInfinity) : 0.F;
  call.high = options.activation == Activation::kRelu6 ? 6.F : static_cast<float>(kInfinity);
  const bool own_statistics = bn->is_training();
  const bool extremes = options.quantizer && options.quantizer->wanted() == Observation::kExtremes;
  {
    const torch::NoGradGuard no_grad;
    ChannelStatistics of_x;
    if (own_statistics || extremes) {
      of_x = channel_statistics(x.detach(), extremes);
    }
    if (own_statistics) {
      call.reducer = batch_norm_statistics();
      gather_statistics(of_x, call.reducer);
      call.count = of_x.count;
    }
    call.normalization = normalize(*bn, own_statistics, of_x);
    if (extremes) {
      show_extremes(*options.quantizer, of_x, call);
    }
  }
  // LibTorch's functions take no undefined tensors.
  torch::Tensor step = torch::empty({0}), offset = step, alpha = step;
  if (options.quantizer && options.quantizer->wanted() != Observation::kTensor) {
    call.quantization = options.quantizer->function(x.sizes());
  }
  if (call.quantization) {
    const FakeQuantization& quantization = *call.quantization;
    step = quantization.learned == Learned::kStep ? quantization.code.step : step;
    offset = quantization.code.offset.defined() ? quantization.code.offset : offset;
    alpha = quantization.learned == Learned::kClip ? quantization.alpha : alpha;
  }
  const torch::Tensor y =
      BatchNormActivation::apply(x, bn->weight, bn->bias, step, offset, alpha, call);
  const bool left_to_do =
      options.quantizer && !call.quantization &&
      (options.quantizer->mode().quantize || options.quantizer->wanted() == Observation::kTensor);
  return left_to_do ? options.quantizer->forward(y) : y;
}

}  // namespace

void update_running_statistics(torch::nn::BatchNorm2dImpl& bn, const torch::Tensor& mean,
                               const torch::Tensor& variance, const torch::Tensor& count) {
  const torch::NoGradGuard no_grad;
  bn.num_batches_tracked.add_(1);
  const auto momentum = bn.options.momentum();
  const double newest =
      momentum ? *momentum : 1 / static_cast<double>(bn.num_batches_tracked.item<int64_t>());
  const auto type = bn.running_mean.scalar_type();
  bn.running_mean.lerp_(mean.to(type), newest);
  bn.running_var.lerp_((variance * (count / (count - 1).clamp_min(1))).to(type), newest);
}

torch::Tensor batch_norm_activation(const torch::Tensor& x, torch::nn::BatchNorm2d& bn,
                                    const ActivationOptions& options) {
  if (!has_kernel(x, *bn, options)) {
    return one_after_the_other(x, bn, options);
  }
  try {
    return fused(x, bn, options);
  } catch (const NonFinite& error) {
    options.quantizer->refuse(error);
  }
}

}  // namespace ssdq
