#include <algorithm>
#include <cmath>

#include <torch/torch.h>

#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/rows.h"

namespace ssdq {
namespace {

void add(Moments& total, const Moments& part) {
  total.min = std::min(total.min, part.min);
  total.max = std::max(total.max, part.max);
  total.sum += part.sum;
  total.sum_abs += part.sum_abs;
  total.sum_squares += part.sum_squares;
  total.finite = total.finite && part.finite;
}

// By row.
std::vector<Moments> fused_moments(const torch::Tensor& input, const Rows& rows) {
  const torch::Tensor x = dense(input, rows);
  std::vector<Moments> parts(static_cast<size_t>(rows.count * rows.chunks()));
  with_type(x, [&](const auto& kernel, auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
      parts[static_cast<size_t>(chunk)] =
          kernel.moments(data<T>(x) + row * rows.length + first, count);
    });
  });
  std::vector<Moments> result;
  const auto chunks = static_cast<size_t>(rows.chunks());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i % chunks == 0) {
      result.push_back(parts[i]);
    } else {
      add(result.back(), parts[i]);
    }
  }
  return result;
}

}  // namespace

TensorMoments moments(const torch::Tensor& x, bool by_row) {
  SSDQ_CHECK(x.numel() > 0, "statistics of a tensor without elements");
  const int64_t count = by_row ? x.size(0) : 1;
  const Rows rows{count, x.numel() / count};
  const std::vector<int64_t> shape(by_row ? 1 : 0, count);
  if (!is_fused(x)) {
    const torch::Tensor wide = widened(guarded(x, x)).reshape({rows.count, -1});
    const auto shaped = [&](const torch::Tensor& t) { return t.to(torch::kFloat).reshape(shape); };
    // Squares of large floats need the range of double.
    const torch::Tensor big = wide.to(torch::kDouble);
    return {shaped(wide.amin(1)),
            shaped(wide.amax(1)),
            shaped(wide.mean(1)),
            shaped(wide.abs().mean(1)),
            shaped(big.square().mean(1).sqrt()),
            shaped(big.std(1, /*unbiased=*/false))};
  }
  const std::vector<Moments> found = fused_moments(x, rows);
  const auto length = static_cast<double>(rows.length);
  const auto tensor_of = [&](auto value) {
    torch::Tensor result = torch::empty({rows.count});
    std::transform(found.begin(), found.end(), result.data_ptr<float>(),
                   [&](const Moments& row) { return static_cast<float>(value(row)); });
    return result.reshape(shape);
  };
  if (!std::all_of(found.begin(), found.end(), [](const Moments& row) { return row.finite; })) {
    throw NonFinite("holds an infinity or NaN");
  }
  return {tensor_of([](const Moments& row) { return row.min; }),
          tensor_of([](const Moments& row) { return row.max; }),
          tensor_of([&](const Moments& row) { return row.sum / length; }),
          tensor_of([&](const Moments& row) { return row.sum_abs / length; }),
          tensor_of([&](const Moments& row) { return std::sqrt(row.sum_squares / length); }),
          tensor_of([&](const Moments& row) {
            const double mean = row.sum / length;
            return std::sqrt(std::max(row.sum_squares / length - mean * mean, 0.0));
          })};
}

torch::Tensor mean_above(const torch::Tensor& input, const torch::Tensor& threshold) {
  const Rows rows = rows_of(input, threshold);
  if (!is_fused(input)) {
    const torch::Tensor magnitude = widened(input).abs();
    const torch::Tensor over = (magnitude > spread(threshold, input)).to(magnitude.scalar_type());
    return (reduced(magnitude * over, threshold) / reduced(over, threshold).clamp_min(1))
        .to(torch::kFloat);
  }
  const torch::Tensor x = dense(input, rows), bounds = float_values(threshold);
  std::vector<TernarySums> parts(static_cast<size_t>(rows.count * rows.chunks()));
  with_type(x, [&](const auto& kernel, auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
      parts[static_cast<size_t>(chunk)] = kernel.ternary_sums(
          data<T>(x) + row * rows.length + first, count, bounds.data_ptr<float>()[row]);
    });
  });
  torch::Tensor sums = torch::zeros({rows.count}, torch::kDouble), hits = torch::zeros_like(sums);
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / rows.chunks();
    sums.data_ptr<double>()[row] += parts[i].sum;
    hits.data_ptr<double>()[row] += static_cast<double>(parts[i].count);
  }
  return (sums / hits.clamp_min(1)).to(torch::kFloat).reshape(threshold.sizes());
}

}  // namespace ssdq
