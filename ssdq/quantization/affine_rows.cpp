#include "ssdq/quantization/affine_rows.h"

#include <cmath>
#include <limits>

#include "ssdq/quantization/rows.h"

namespace ssdq {

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

}  // namespace ssdq
