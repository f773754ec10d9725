#include "ssdq/layers/batch_norm_activation.h"

#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <torch/torch.h>

#include "ssdq/kernels/dispatch.h"
#include "ssdq/layers/channel_layout.h"
#include "ssdq/layers/functional.h"
#include "ssdq/quantization/affine_rows.h"
#include "ssdq/quantization/rows.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Of x, [C] of double; extremes only when asked for.
struct Statistics {
  torch::Tensor mean, variance, min, max;
};

Statistics statistics(const torch::Tensor& x, bool extremes) {
  const ChannelLayout layout(x);
  // Sums around a value of the channel itself lose nothing when the mean is far from zero.
  const torch::Tensor pivot = x.select(0, 0).select(1, 0).select(1, 0);
  const std::vector<float> pivots = layout.columns(pivot);
  const auto filled = [&](double value) {
    return extremes ? torch::full({layout.chunks(), layout.width()}, value) : torch::Tensor();
  };
  const torch::Tensor min = filled(kInfinity), max = filled(-kInfinity);
  const auto sums = with_type(x, [&](const auto& kernel, auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    return layout.sums(
        [&](int64_t begin, int64_t count, int64_t chunk, double* sum, double* squares) {
          const int64_t at = chunk * layout.width();
          kernel.column_moments(
              data<T>(x) + begin, count, layout.width(),
              {pivots.data(), sum, squares, extremes ? min.data_ptr<float>() + at : nullptr,
               extremes ? max.data_ptr<float>() + at : nullptr});
        });
  });
  const torch::Tensor shift = sums.first / layout.count();
  Statistics result{pivot.to(torch::kDouble) + shift,
                    (sums.second / layout.count() - shift * shift).clamp_min(0),
                    {},
                    {}};
  if (extremes) {
    result.min = layout.by_channel(min).amin(0);
    result.max = layout.by_channel(max).amax(0);
  }
  return result;
}

// What one call does besides its tensors with gradients.
struct Call {
  torch::Tensor scale, shift, mean, deviation;  // [C]; the last two of double
  bool own_statistics = false;                  // mean and deviation are those of x
  float low = 0, high = 0;                      // of the activation
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
enum Saved { kX, kStep, kOffset, kAlpha, kScale, kShift, kMean, kDeviation, kCode };

struct BatchNormActivation : torch::autograd::Function<BatchNormActivation> {
  // `step`, `offset`, `alpha`: of the quantization, for their gradients; empty without.
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& /*weight*/, const torch::Tensor& /*bias*/,
                               const torch::Tensor& step, const torch::Tensor& offset,
                               const torch::Tensor& alpha, const Call& call) {
    const torch::Tensor code = saved_code(call.quantization);
    context->save_for_backward(
        {x, step, offset, alpha, call.scale, call.shift, call.mean, call.deviation, code});
    const FakeQuantization quantization = call.quantization.value_or(FakeQuantization());
    context->saved_data["own_statistics"] = call.own_statistics;
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
    const std::vector<float> scales = layout.columns(call.scale),
                             shifts = layout.columns(call.shift);
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
    const torch::Tensor &x = saved[kX], &scale = saved[kScale], &deviation = saved[kDeviation];
    const torch::Tensor g =
        gradients[0].to(x.scalar_type()).contiguous(torch::MemoryFormat::ChannelsLast);
    const ChannelLayout layout(x);
    const std::vector<float> scales = layout.columns(scale), shifts = layout.columns(saved[kShift]),
                             means = layout.columns(saved[kMean]);
    const AffineRow code = code_of(saved[kCode]);
    const bool has_code = saved[kCode].data_ptr<float>()[8] != 0;
    const auto low = static_cast<float>(context->saved_data["low"].toDouble());
    const auto high = static_cast<float>(context->saved_data["high"].toDouble());
    const auto slope = static_cast<float>(context->saved_data["slope"].toDouble());
    const auto learned = static_cast<Learned>(context->saved_data["learned"].toInt());
    const auto columns = [&](int64_t count) {
      return Columns{count,
                     layout.width(),
                     scales.data(),
                     shifts.data(),
                     low,
                     high,
                     has_code ? &code : nullptr};
    };
    std::vector<CodeSums> parts(static_cast<size_t>(layout.chunks()));
    torch::Tensor gx, sum, product;
    with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      const T *in = data<T>(x), *up = data<T>(g);
      std::tie(sum, product) = layout.sums(
          [&](int64_t begin, int64_t count, int64_t chunk, double* first, double* second) {
            parts[static_cast<size_t>(chunk)] =
                kernel.column_gradient_sums(in + begin, up + begin, columns(count),
                                            {means.data(), first, second}, rule_of(learned), slope);
          });
      if (!context->needs_input_grad(0)) {
        return;
      }
      // With statistics of x itself: the gradient less its mean and its projection on x.
      const double count =
          context->saved_data["own_statistics"].toBool() ? layout.count() : kInfinity;
      const std::vector<float> slopes =
          layout.columns(-scale * product / (deviation * deviation * count));
      const std::vector<float> constants = layout.columns(-scale * sum / count);
      gx = torch::empty_like(x);
      T* out = data<T>(gx);
      layout.for_chunks([&](int64_t begin, int64_t numbers, int64_t) {
        kernel.column_gradient(in + begin, up + begin, out + begin, columns(numbers),
                               {means.data(), slopes.data(), constants.data()}, slope);
      });
    });
    variable_list result{gx,
                         (product / deviation).to(torch::kFloat),
                         sum.to(torch::kFloat),
                         Variable(),
                         Variable(),
                         Variable(),
                         Variable()};
    CodeSums total;
    for (const CodeSums& part : parts) {
      total.first += part.first;
      total.second += part.second;
    }
    add_code_gradients(context, learned, code, total, saved, result);
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
  const torch::Tensor y = activate_fresh(bn->forward(x), options.activation, options.leaky_slope);
  return options.quantizer ? options.quantizer->forward(y) : y;
}

// Shows the quantizer the extremes that the activation will have. All steps from x to there are
// monotonic, in rounding too, so the extremes of x by channel tell.
void show_extremes(QuantizerImpl& quantizer, const Statistics& of_x, const Call& call) {
  const torch::Tensor scale = call.scale.to(torch::kFloat), shift = call.shift.to(torch::kFloat);
  const torch::Tensor a = of_x.min * scale + shift, b = of_x.max * scale + shift;
  const auto clamped = [&](const torch::Tensor& v) { return v.clamp(call.low, call.high); };
  const torch::Tensor min = clamped(torch::minimum(a, b).min()),
                      max = clamped(torch::maximum(a, b).max());
  if (!std::isfinite(min.item<float>()) || !std::isfinite(max.item<float>())) {
    throw NonFinite("holds an infinity or NaN");
  }
  quantizer.show_extremes(min, max);
}

torch::Tensor fused(const torch::Tensor& x, torch::nn::BatchNorm2d& bn,
                    const ActivationOptions& options) {
  Call call;
  call.low = options.activation == Activation::kLinear ? static_cast<float>(-kInfinity) : 0.F;
  call.high = options.activation == Activation::kRelu6 ? 6.F : static_cast<float>(kInfinity);
  call.own_statistics = bn->is_training();
  const bool extremes = options.quantizer && options.quantizer->wanted() == Observation::kExtremes;
  {
    const torch::NoGradGuard no_grad;
    Statistics of_x;
    if (call.own_statistics || extremes) {
      of_x = statistics(x, extremes);
    }
    torch::Tensor variance = bn->running_var.to(torch::kDouble);
    call.mean = bn->running_mean.to(torch::kDouble);
    if (call.own_statistics) {
      call.mean = of_x.mean;
      variance = of_x.variance;
      update_running_statistics(*bn, of_x.mean, variance,
                                static_cast<double>(x.numel()) / static_cast<double>(x.size(1)));
    }
    call.deviation = (variance + bn->options.eps()).sqrt();
    call.scale = bn->weight / call.deviation;
    call.shift = bn->bias - call.mean * call.scale;
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
                               const torch::Tensor& variance, double count) {
  const torch::NoGradGuard no_grad;
  bn.num_batches_tracked.add_(1);
  const double newest = bn.options.momentum().value_or(
      1 / static_cast<double>(bn.num_batches_tracked.item<int64_t>()));
  const auto type = bn.running_mean.scalar_type();
  bn.running_mean.lerp_(mean.to(type), newest);
  bn.running_var.lerp_((variance * (count / std::max(count - 1, 1.0))).to(type), newest);
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
