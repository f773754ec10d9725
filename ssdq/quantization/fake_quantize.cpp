#include "ssdq/quantization/fake_quantize.h"

#include <cmath>
#include <limits>
#include <utility>

#include <torch/torch.h>

#include "ssdq/quantization/rows.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

torch::Tensor like(const torch::Tensor& x, c10::IntArrayRef sizes, c10::IntArrayRef strides) {
  return x.sizes() == sizes && x.strides() == strides
             ? x
             : torch::empty_strided(sizes, strides, x.options()).copy_(x);
}

// The kernels' view of a code.
std::vector<AffineRow> affine_rows(const AffineCode& code) {
  const torch::Tensor step = float_values(code.step), low = float_values(code.low),
                      high = float_values(code.high);
  const torch::Tensor offset = code.offset.defined() ? float_values(code.offset) : torch::Tensor();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<AffineRow> rows(static_cast<size_t>(step.numel()));
  for (size_t i = 0; i < rows.size(); ++i) {
    AffineRow& row = rows[i];
    row.step = step.data_ptr<float>()[i];
    row.offset = offset.defined() ? offset.data_ptr<float>()[i] : 0.0F;
    row.low = row.inside_low = low.data_ptr<float>()[low.numel() == 1 ? 0 : i];
    row.high = row.inside_high = high.data_ptr<float>()[high.numel() == 1 ? 0 : i];
    row.gain = static_cast<float>(code.gain);
    row.out_step =
        static_cast<float>(static_cast<double>(row.step) * code.output_scale / code.gain);
    if (code.edge == Edge::kStrict) {
      row.inside_low = std::nextafter(row.low, kInfinity);
    }
    if (code.edge == Edge::kStrict || code.edge == Edge::kHalfOpen) {
      row.inside_high = std::nextafter(row.high, -kInfinity);
    }
    if (code.edge == Edge::kRounded) {
      const auto is_odd = [](float value) { return std::fmod(value, 2.0F) != 0; };
      row.inside_low = row.low - 0.5F;
      row.inside_high = row.high + 0.5F;
      row.inside_low = is_odd(row.low) ? std::nextafter(row.inside_low, kInfinity) : row.inside_low;
      row.inside_high =
          is_odd(row.high) ? std::nextafter(row.inside_high, -kInfinity) : row.inside_high;
    }
  }
  return rows;
}

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

torch::Tensor mask_for(const Rows& rows) {
  return torch::empty({rows.count * rows.mask_stride()}, torch::kByte);
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

// g masked; the sums are those beside the mask over the whole tensor.
std::pair<torch::Tensor, OutsideSums> fused_masked_gradient(const torch::Tensor& g,
                                                            const torch::Tensor& inside,
                                                            const torch::Tensor& above,
                                                            const Rows& rows, double slope) {
  torch::Tensor gx = torch::empty_like(g);
  std::vector<OutsideSums> sums(static_cast<size_t>(rows.count * rows.chunks()));
  with_type(g, [&](const auto& kernel, auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* in = data<T>(g);
    T* out = data<T>(gx);
    const auto* low = inside.data_ptr<uint8_t>();
    const auto* high = above.defined() ? above.data_ptr<uint8_t>() : nullptr;
    for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
      const int64_t at = row * rows.length + first, bit = row * rows.mask_stride() + first / 8;
      sums[static_cast<size_t>(chunk)] =
          kernel.masked_gradient(in + at, low + bit, high != nullptr ? high + bit : nullptr,
                                 out + at, count, static_cast<float>(slope));
    });
  });
  OutsideSums total;
  for (const OutsideSums& part : sums) {
    total.above += part.above;
    total.below += part.below;
  }
  return {gx, total};
}

void keep_layout(AutogradContext* context, const torch::Tensor& x, const Rows& rows) {
  context->saved_data["sizes"] = x.sizes().vec();
  context->saved_data["strides"] = x.strides().vec();
  context->saved_data["rows"] = rows.count;
}

torch::Tensor arranged(AutogradContext* context, const torch::Tensor& g) {
  return like(g, context->saved_data["sizes"].toIntVector(),
              context->saved_data["strides"].toIntVector());
}

Rows kept_rows(AutogradContext* context, const torch::Tensor& g) {
  const int64_t count = context->saved_data["rows"].toInt();
  return {count, g.numel() / std::max<int64_t>(count, 1)};
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

// Passes g through a bit mask, a bool mask, or everywhere if it is undefined.
variable_list masked(AutogradContext* context, const torch::Tensor& up, size_t others) {
  const torch::Tensor mask = context->get_saved_variables()[0];
  variable_list result(1 + others);
  if (!mask.defined()) {
    result[0] = up;
  } else if (mask.scalar_type() == torch::kBool) {
    result[0] = up * mask;
  } else {
    const torch::Tensor g = arranged(context, up);
    result[0] = fused_masked_gradient(g, mask, {}, kept_rows(context, g), 1).first;
  }
  return result;
}

struct SignFunction : torch::autograd::Function<SignFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& magnitude, const torch::Tensor& threshold,
                               bool clipped) {
    const Rows rows = rows_of(input, magnitude);
    if (is_fused(input)) {
      const torch::Tensor x = dense(input, rows);
      const torch::Tensor mask = clipped ? mask_for(rows) : torch::Tensor();
      keep_layout(context, x, rows);
      context->save_for_backward({mask});
      return fused(x, float_values(magnitude), float_values(threshold), rows, mask);
    }
    context->save_for_backward({clipped ? input.abs() < 1 : torch::Tensor()});
    const torch::Tensor value = spread(magnitude, input), wide = widened(input);
    const torch::Tensor y = torch::where(wide < 0, -value, value) *
                            (wide.abs() > spread(threshold, input)).to(wide.scalar_type());
    return guarded(y, input).to(input.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return masked(context, gradients[0], 3);
  }

  static torch::Tensor fused(const torch::Tensor& x, const torch::Tensor& magnitude,
                             const torch::Tensor& threshold, const Rows& rows,
                             const torch::Tensor& mask) {
    torch::Tensor y = torch::empty_like(x);
    uint8_t* inside = mask.defined() ? mask.data_ptr<uint8_t>() : nullptr;
    std::vector<uint8_t> good(static_cast<size_t>(rows.count * rows.chunks()));
    with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
        const int64_t at = row * rows.length + first, bit = row * rows.mask_stride() + first / 8;
        good[static_cast<size_t>(chunk)] = static_cast<uint8_t>(kernel.sign(
            data<T>(x) + at, data<T>(y) + at, inside != nullptr ? inside + bit : nullptr, count,
            magnitude.data_ptr<float>()[row], threshold.data_ptr<float>()[row]));
      });
    });
    require_finite(good);
    return y;
  }
};

struct LevelFunction : torch::autograd::Function<LevelFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& levels, bool clipped,
                               LevelStatistics* statistics) {
    const Rows rows{levels.size(0), input.numel() / levels.size(0)};
    if (is_fused(input)) {
      const torch::Tensor x = dense(input, rows);
      const torch::Tensor mask = clipped ? mask_for(rows) : torch::Tensor();
      keep_layout(context, x, rows);
      context->save_for_backward({mask});
      return fused(x, float_values(levels), rows, mask, statistics);
    }
    return generic(context, input, levels, clipped, statistics);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return masked(context, gradients[0], 3);
  }

  static torch::Tensor midpoints(const torch::Tensor& levels) {
    const int64_t last = levels.size(1) - 1;
    return ((levels.narrow(1, 0, last) + levels.narrow(1, 1, last)) / 2).contiguous();
  }

  static torch::Tensor fused(const torch::Tensor& x, const torch::Tensor& levels, const Rows& rows,
                             const torch::Tensor& mask, LevelStatistics* statistics) {
    torch::Tensor y = torch::empty_like(x);
    const torch::Tensor middles = midpoints(levels);
    const int64_t size = levels.size(1), chunks = rows.count * rows.chunks();
    uint8_t* inside = mask.defined() ? mask.data_ptr<uint8_t>() : nullptr;
    std::vector<uint8_t> good(static_cast<size_t>(chunks));
    const int64_t kept = statistics != nullptr ? chunks : 0;
    const torch::Tensor hits = torch::zeros({kept, size}, torch::kLong);
    const torch::Tensor sums = torch::zeros({kept, size}, torch::kDouble);
    with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
        const int64_t at = row * rows.length + first, bit = row * rows.mask_stride() + first / 8;
        LevelTable table{levels.data_ptr<float>() + row * size,
                         middles.data_ptr<float>() + row * (size - 1), static_cast<int>(size)};
        if (statistics != nullptr) {
          table.hits = hits.data_ptr<int64_t>() + chunk * size;
          table.sums = sums.data_ptr<double>() + chunk * size;
        }
        good[static_cast<size_t>(chunk)] = static_cast<uint8_t>(
            kernel.nearest_level(data<T>(x) + at, data<T>(y) + at,
                                 inside != nullptr ? inside + bit : nullptr, count, table));
      });
    });
    require_finite(good);
    if (statistics != nullptr) {
      statistics->hits = hits.view({rows.count, -1, size}).sum(1).to(torch::kDouble);
      statistics->sums = sums.view({rows.count, -1, size}).sum(1);
    }
    return y;
  }

  static torch::Tensor generic(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& levels, bool clipped,
                               LevelStatistics* statistics) {
    const torch::Tensor x = widened(input).reshape({levels.size(0), -1}).contiguous();
    const torch::Tensor values = levels.to(x.device(), x.scalar_type()).contiguous();
    const torch::Tensor codes = torch::searchsorted(midpoints(values), x);
    if (statistics != nullptr) {
      const torch::Tensor zero = torch::zeros(values.sizes(), x.options().dtype(torch::kDouble));
      const torch::Tensor wide = x.to(torch::kDouble);
      statistics->hits = zero.scatter_add(1, codes, torch::ones_like(wide));
      statistics->sums = zero.scatter_add(1, codes, wide);
    }
    const torch::Tensor inside = (x >= values.narrow(1, 0, 1))
                                     .logical_and(x <= values.narrow(1, values.size(1) - 1, 1))
                                     .view(input.sizes());
    context->save_for_backward({clipped ? inside : torch::Tensor()});
    const torch::Tensor y = values.gather(1, codes).view(input.sizes());
    return guarded(y, input).to(input.scalar_type());
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

torch::Tensor fake_quantize_sign(const torch::Tensor& x, const torch::Tensor& magnitude,
                                 const torch::Tensor& threshold, bool clipped) {
  return SignFunction::apply(x, magnitude, threshold, clipped);
}

torch::Tensor fake_quantize_levels(const torch::Tensor& x, const torch::Tensor& levels,
                                   bool clipped, LevelStatistics* statistics) {
  return LevelFunction::apply(x, levels, clipped, statistics);
}

}  // namespace ssdq
