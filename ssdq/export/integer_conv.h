#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ssdq/export/integer_codes.h"

namespace ssdq {

// A convolution on integers, its batch norm in the scale and the bias. With acc the sum of
// (multiplier w + shift) (x - zero point) over the taps inside the map (padding counts nothing),
// the output before the activation is y = scale (acc + bias), by channel.
struct IntegerConv {
  std::optional<ActivationCode> input;     // none: real numbers
  std::optional<WeightCode> weight;        // none: `real_weight`, batch norm folded
  std::vector<float> real_weight;          // row-major
  std::vector<int64_t> shape;              // of the weight
  std::vector<double> scale;               // [out]; 1 for real weights and inputs
  std::vector<double> real_bias;           // [out], in units of y
  std::vector<int32_t> bias;               // [out], round(real_bias / scale); if is_integer()
  std::vector<int64_t> constant_channels;  // acc counts nothing here: they never saw their input
  int accumulator_bits = 0;                // that acc + bias needs, two's complement

  // Accumulators are whole numbers.
  bool is_integer() const { return input && weight && input->has_whole_zero(); }
};

// Of a block in evaluation mode. Throws Error naming the node.
IntegerConv integer_conv(ConvBlockImpl& block);

// A consumer's code as clamp(round((acc + bias) mantissa 2^-shift) + zero_point, low, high), the
// activation included.
struct Requantization {
  std::vector<double> factor;     // [out], what mantissa 2^-shift stands for
  std::vector<int32_t> mantissa;  // |mantissa| in 2^30 .. 2^31 - 1, or 0 for what rounds to 0
  std::vector<int32_t> shift;     // 0..62
  int64_t low = 0, high = 0;
};

// Nothing for activations other than linear, ReLU and ReLU6 and where either zero point is not
// whole.
std::optional<Requantization> requantization(const IntegerConv& conv, Activation activation,
                                             const ActivationCode& consumer);

}  // namespace ssdq
