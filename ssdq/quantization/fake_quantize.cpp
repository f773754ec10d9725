#include "ssdq/quantization/fake_quantize.h"

#include <utility>

#include <torch/torch.h>

#include "ssdq/quantization/affine_rows.h"
#include "ssdq/quantization/bit_mask.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// v of a code, where the gradient passes, and where v lies above.
struct Position {
  torch::Tensor v, inside, above;
};

Position position(const torch::Tensor& x, const AffineCode& code) {
  const torch::Tensor low = spread(code.low, x), high = spread(code.high, x);
  torch::Tensor v = widened(x);
  v = code.offset.defined() ? v - spread(code.offset, x) : v;
  v = (code.gain == 1 ? v : v * code.gain) / spread(code.step, x);
  switch (code.edge) {
    case Edge::kInclusive:
      return {v, (v >= low).logical_and(v <= high), v > high};
    case Edge::kStrict:
      return {v, (v > low).logical_and(v < high), v >= high};
    case Edge::kHalfOpen:
      return {v, (v >= low).logical_and(v < high), v >= high};
    case Edge::kRounded:
      break;
  }
  const torch::Tensor rounded = v.round();
  return {v, (rounded >= low).logical_and(rounded <= high), rounded > high};
}

torch::Tensor clamped(const torch::Tensor& v, const torch::Tensor& x, const AffineCode& code) {
  return torch::minimum(torch::maximum(v, spread(code.low, x)), spread(code.high, x));
}

torch::Tensor generic_affine(const torch::Tensor& x, const AffineCode& code, const Position& at) {
  torch::Tensor y =
      clamped(at.v, x, code).round_().mul_(spread(code.step, x) * (code.output_scale / code.gain));
  if (code.offset.defined()) {
    y = y.add_(spread(code.offset, x));
  }
  return guarded(y, x).to(x.scalar_type());
}

torch::Tensor fused_affine(const torch::Tensor& x, const AffineCode& code, const Rows& rows,
                           uint8_t* inside, uint8_t* above) {
  torch::Tensor y = torch::empty_like(x);
  const std::vector<AffineRow> parameters = affine_rows(code);
  std::vector<uint8_t> good(static_cast<size_t>(rows.count * rows.chunks()));
  with_type(x, [&](const auto& kernel, auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* in = data<T>(x);
    T* out = data<T>(y);
    for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
      const int64_t at = row * rows.length + first, bit = row * rows.mask_stride() + first / 8;
      good[static_cast<size_t>(chunk)] = static_cast<uint8_t>(kernel.affine(
          in + at, out + at, inside != nullptr ? inside + bit : nullptr,
          above != nullptr ? above + bit : nullptr, count, parameters[static_cast<size_t>(row)]));
    });
  });
  require_finite(good);
  return y;
}

struct AffineFunction : torch::autograd::Function<AffineFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const AffineCode& code, double slope) {
    const Rows rows = rows_of(input, code.step);
    context->saved_data["slope"] = slope;
    if (is_fused(input)) {
      const torch::Tensor x = dense(input, rows);
      torch::Tensor mask = input.requires_grad() ? mask_for(rows) : torch::Tensor();
      keep_layout(context, x, rows);
      context->save_for_backward({mask});
      return fused_affine(x, code, rows, mask.defined() ? mask.data_ptr<uint8_t>() : nullptr,
                          nullptr);
    }
    const Position at = position(input, code);
    context->save_for_backward({at.inside});
    return generic_affine(input, code, at);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const torch::Tensor mask = context->get_saved_variables()[0];
    const double slope = context->saved_data["slope"].toDouble();
    if (mask.scalar_type() == torch::kBool) {
      return {(gradients[0] * mask).mul_(slope), Variable(), Variable()};
    }
    const torch::Tensor g = arranged(context, gradients[0]);
    return {fused_masked_gradient(g, mask, {}, kept_rows(context, g), slope).first, Variable(),
            Variable()};
  }
};

struct ClippedFunction : torch::autograd::Function<ClippedFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& alpha, const AffineCode& code, double decay) {
    const Rows rows = rows_of(input, code.step);
    context->saved_data["decay"] = decay;
    // The lower end of the clamp moves with alpha too, unless it is 0.
    context->saved_data["below"] = (code.low / code.high).item<double>();
    if (is_fused(input)) {
      const torch::Tensor x = dense(input, rows);
      const torch::Tensor inside = mask_for(rows), above = mask_for(rows);
      keep_layout(context, x, rows);
      context->save_for_backward({inside, above, alpha});
      return fused_affine(x, code, rows, inside.data_ptr<uint8_t>(), above.data_ptr<uint8_t>());
    }
    const Position at = position(input, code);
    context->save_for_backward({at.inside, at.above, alpha});
    return generic_affine(input, code, at);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &inside = saved[0], &above = saved[1], &alpha = saved[2];
    const double below = context->saved_data["below"].toDouble();
    torch::Tensor gx, to_alpha;
    if (inside.scalar_type() == torch::kBool) {
      const torch::Tensor g = widened(gradients[0]);
      gx = gradients[0] * inside;
      to_alpha = (g * above).sum() + below * (g * inside.logical_or(above).logical_not()).sum();
    } else {
      const torch::Tensor g = arranged(context, gradients[0]);
      OutsideSums sums;
      std::tie(gx, sums) = fused_masked_gradient(g, inside, above, kept_rows(context, g), 1);
      to_alpha = torch::full({}, sums.above + below * sums.below, torch::kDouble);
    }
    to_alpha =
        to_alpha.to(alpha.scalar_type()) + 2 * context->saved_data["decay"].toDouble() * alpha;
    return {gx, to_alpha.view(alpha.sizes()), Variable(), Variable()};
  }
};

struct LearnedFunction : torch::autograd::Function<LearnedFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& step, const torch::Tensor& offset,
                               const AffineCode& code, double gradient_scale) {
    const Rows rows = rows_of(input, step);
    const torch::Tensor x = is_fused(input) ? dense(input, rows) : input;
    context->save_for_backward({x, step, offset, code.low, code.high});
    context->saved_data["edge"] = static_cast<int64_t>(code.edge);
    context->saved_data["gradient_scale"] = gradient_scale;
    return is_fused(x) ? fused_affine(x, code, rows, nullptr, nullptr)
                       : generic_affine(x, code, position(x, code));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor& x = saved[0];
    AffineCode code;
    code.step = saved[1];
    code.offset = saved[2].numel() > 0 ? saved[2] : torch::Tensor();
    code.low = saved[3];
    code.high = saved[4];
    code.edge = static_cast<Edge>(context->saved_data["edge"].toInt());
    const double scale = context->saved_data["gradient_scale"].toDouble();
    const auto [gx, to_step, to_offset] =
        is_fused(x) ? fused(x, gradients[0], code) : generic(x, gradients[0], code);
    const auto finish = [&](const torch::Tensor& sum, const torch::Tensor& parameter) {
      return parameter.defined()
                 ? sum.mul(scale).to(parameter.device(), parameter.scalar_type()).view_as(parameter)
                 : Variable();
    };
    return {gx, finish(to_step, code.step), finish(to_offset, code.offset), Variable(), Variable()};
  }

  static std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> generic(const torch::Tensor& x,
                                                                         const torch::Tensor& up,
                                                                         const AffineCode& code) {
    const Position at = position(x, code);
    const torch::Tensor g = widened(up), limited = clamped(at.v, x, code);
    const torch::Tensor slope = torch::where(at.inside, limited.round() - at.v, limited);
    return {up * at.inside, reduced(g * slope, code.step),
            reduced(g * at.inside.logical_not(), code.step)};
  }

  static std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> fused(const torch::Tensor& x,
                                                                       const torch::Tensor& up,
                                                                       const AffineCode& code) {
    const torch::Tensor g = like(up, x.sizes(), x.strides());
    const Rows rows = rows_of(x, code.step);
    const std::vector<AffineRow> parameters = affine_rows(code);
    torch::Tensor gx = torch::empty_like(x);
    std::vector<LearnedSums> sums(static_cast<size_t>(rows.count * rows.chunks()));
    with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      const T *in = data<T>(x), *gradient = data<T>(g);
      T* out = data<T>(gx);
      for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
        const int64_t at = row * rows.length + first;
        sums[static_cast<size_t>(chunk)] = kernel.learned_gradient(
            in + at, gradient + at, out + at, count, parameters[static_cast<size_t>(row)]);
      });
    });
    torch::Tensor to_step = torch::zeros({rows.count}, torch::kDouble);
    torch::Tensor to_offset = torch::zeros({rows.count}, torch::kDouble);
    for (size_t i = 0; i < sums.size(); ++i) {
      const int64_t row = static_cast<int64_t>(i) / rows.chunks();
      to_step.data_ptr<double>()[row] += sums[i].step;
      to_offset.data_ptr<double>()[row] += sums[i].offset;
    }
    return {gx, to_step, to_offset};
  }
};

}  // namespace

torch::Tensor fake_quantize(const torch::Tensor& x, const AffineCode& code, double slope) {
  return AffineFunction::apply(x, code, slope);
}

torch::Tensor fake_quantize_clipped(const torch::Tensor& x, const torch::Tensor& alpha,
                                    const AffineCode& code, double decay) {
  return ClippedFunction::apply(x, alpha, code, decay);
}

torch::Tensor fake_quantize_learned(const torch::Tensor& x, const AffineCode& code,
                                    double gradient_scale) {
  // LibTorch's functions take no undefined tensors.
  const torch::Tensor offset = code.offset.defined() ? code.offset : torch::empty({0});
  return LearnedFunction::apply(x, code.step, offset, code, gradient_scale);
}

torch::Tensor fake_quantize(const torch::Tensor& x, const FakeQuantization& quantization) {
  switch (quantization.learned) {
    case Learned::kNothing:
      break;
    case Learned::kClip:
      return fake_quantize_clipped(x, quantization.alpha, quantization.code, quantization.decay);
    case Learned::kStep:
      return fake_quantize_learned(x, quantization.code, quantization.gradient_scale);
  }
  return fake_quantize(x, quantization.code, quantization.slope);
}

}  // namespace ssdq
