#include "ssdq/layers/channel_statistics.h"

#include <algorithm>
#include <limits>

#include <torch/torch.h>

#include "ssdq/kernels/dispatch.h"
#include "ssdq/layers/channel_layout.h"

namespace ssdq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

ChannelValues channel_values(const torch::Tensor& by_channel) {
  const torch::Tensor dense = by_channel.detach().contiguous();
  const auto* data = dense.data_ptr<float>();
  return {data, data + dense.numel()};
}

ChannelStatistics channel_statistics(const torch::Tensor& x, bool extremes) {
  const ChannelLayout layout(x);
  const auto width = static_cast<size_t>(layout.width());
  // Sums around a value of the channel itself lose nothing when the mean is far from zero.
  const ChannelValues pivot =
      channel_values(x.select(0, 0).select(1, 0).select(1, 0).to(torch::kFloat).contiguous());
  const std::vector<float> pivots = layout.columns(pivot);
  const size_t kept = extremes ? static_cast<size_t>(layout.chunks()) * width : 0;
  std::vector<float> min(kept, static_cast<float>(kInfinity)),
      max(kept, static_cast<float>(-kInfinity));
  const auto sums = with_type(x, [&](const auto& kernel, auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    return layout.sums(
        [&](int64_t begin, int64_t count, int64_t chunk, double* sum, double* squares) {
          const int64_t at = chunk * layout.width();
          kernel.column_moments(data<T>(x) + begin, count, layout.width(),
                                {pivots.data(), sum, squares, extremes ? min.data() + at : nullptr,
                                 extremes ? max.data() + at : nullptr});
        });
  });
  ChannelStatistics result;
  result.count = layout.count();
  for (size_t c = 0; c < pivot.size(); ++c) {
    const double shift = sums[0][c] / layout.count();
    result.mean.push_back(pivot[c] + shift);
    result.variance.push_back(std::max(sums[1][c] / layout.count() - shift * shift, 0.0));
  }
  if (extremes) {
    result.min.assign(pivot.size(), static_cast<float>(kInfinity));
    result.max.assign(pivot.size(), static_cast<float>(-kInfinity));
    for (size_t i = 0; i < kept; ++i) {
      const size_t c = i % width % pivot.size();
      result.min[c] = std::min(result.min[c], min[i]);
      result.max[c] = std::max(result.max[c], max[i]);
    }
  }
  return result;
}

torch::Tensor ChannelNormalization::packed() const {
  const auto channels = static_cast<int64_t>(scale.size());
  torch::Tensor result = torch::empty({4, channels}, torch::kDouble);
  auto* out = result.data_ptr<double>();
  for (const ChannelValues* values : {&scale, &shift, &mean, &deviation}) {
    out = std::copy(values->begin(), values->end(), out);
  }
  return result;
}

ChannelNormalization ChannelNormalization::unpacked(const torch::Tensor& packed) {
  const auto* row = packed.data_ptr<double>();
  const int64_t channels = packed.size(1);
  ChannelNormalization result;
  for (ChannelValues* values : {&result.scale, &result.shift, &result.mean, &result.deviation}) {
    values->assign(row, row + channels);
    row += channels;
  }
  return result;
}

}  // namespace ssdq
