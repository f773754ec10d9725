#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/layers/conv_block.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// Whole numbers in low..high, `bits` wide.
struct CodeRange {
  int bits = 8;
  bool is_signed = true;  // two's complement
  int64_t low = 0, high = 0;
};

// Activations: x is stored as clamp(round(x / encode_scale) + zero_point, low, high), halves to
// even, and a code c stands for scale (c - zero_point). The scales differ for methods that scale
// what they quantize (DoReFa). A zero point that is not whole is added before rounding.
struct ActivationCode {
  CodeRange range;
  double scale = 1, encode_scale = 1, zero_point = 0;

  bool has_whole_zero() const;
};

// Weights [C, ...]: a code c of row r stands for scale[r] (multiplier c + shift[r]).
struct WeightCode {
  CodeRange range;
  int multiplier = 1;          // 2 where 0 lies between two codes
  std::vector<int64_t> shift;  // of the tensor (1) or of each row
  std::vector<double> scale;   // the same
  std::vector<int64_t> codes;  // row-major

  int64_t shift_of(size_t row) const { return shift[shift.size() == 1 ? 0 : row]; }
  double scale_of(size_t row) const { return scale[scale.size() == 1 ? 0 : row]; }
};

// Throw Error naming the node for a quantizer whose levels are not equally spaced.
ActivationCode activation_code(const QuantizerImpl& quantizer);
// Of the weight that the block convolves with, which has a weight quantizer.
WeightCode weight_code_of(ConvBlockImpl& block);

}  // namespace ssdq
