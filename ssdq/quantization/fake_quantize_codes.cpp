#include <torch/torch.h>

#include "ssdq/quantization/bit_mask.h"
#include "ssdq/quantization/fake_quantize.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

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

struct ClampFunction : torch::autograd::Function<ClampFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input, double low,
                               double high) {
    if (!is_fused(input)) {
      const torch::Tensor inside = (input > low).logical_and_(input < high);
      context->save_for_backward({inside});
      return input.clamp(low, high);
    }
    const Rows rows{1, input.numel()};
    const torch::Tensor x = dense(input, rows);
    const torch::Tensor mask = input.requires_grad() ? mask_for(rows) : torch::Tensor();
    keep_layout(context, x, rows);
    context->save_for_backward({mask});
    torch::Tensor y = torch::empty_like(x);
    uint8_t* inside = mask.defined() ? mask.data_ptr<uint8_t>() : nullptr;
    with_type(x, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      for_chunks(rows, [&](int64_t, int64_t first, int64_t count, int64_t) {
        kernel.clamp(data<T>(x) + first, data<T>(y) + first,
                     inside != nullptr ? inside + first / 8 : nullptr, count,
                     static_cast<float>(low), static_cast<float>(high));
      });
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return masked(context, gradients[0], 2);
  }
};

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

torch::Tensor fake_quantize_sign(const torch::Tensor& x, const torch::Tensor& magnitude,
                                 const torch::Tensor& threshold, bool clipped) {
  return SignFunction::apply(x, magnitude, threshold, clipped);
}

torch::Tensor clamp_with_mask(const torch::Tensor& x, double low, double high) {
  return ClampFunction::apply(x, low, high);
}

torch::Tensor fake_quantize_levels(const torch::Tensor& x, const torch::Tensor& levels,
                                   bool clipped, LevelStatistics* statistics) {
  return LevelFunction::apply(x, levels, clipped, statistics);
}

}  // namespace ssdq
