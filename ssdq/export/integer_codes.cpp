#include "ssdq/export/integer_codes.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// The parameters of a code in double precision, for the tensor (1) or for each row.
struct PlainCode {
  std::vector<double> scale, encode_scale, offset;
  std::vector<int64_t> low, high;

  size_t at(const std::vector<double>& values, size_t row) const {
    return values.size() == 1 ? 0 : row;
  }
};

std::vector<double> numbers(const torch::Tensor& x) {
  const torch::Tensor wide = x.detach().to(torch::kCPU, torch::kDouble).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

std::vector<int64_t> whole_numbers(const torch::Tensor& x) {
  std::vector<int64_t> result;
  for (const double value : numbers(x)) {
    result.push_back(std::llround(value));
  }
  return result;
}

PlainCode plain_code(const QuantizerImpl& quantizer, const torch::Tensor& x) {
  const torch::NoGradGuard no_grad;
  const auto code = quantizer.value_code(x);
  SSDQ_CHECK(code,
             "{}: the values of its quantizer are not integers times a step (levels of lqnet, "
             "binary activations of bwn); give the layer another TYPE by QUANTIZATION.POLICY",
             quantizer.spec().node);
  PlainCode plain;
  for (const double step : numbers(code->step)) {
    plain.encode_scale.push_back(step / code->gain);
    plain.scale.push_back(step / code->gain * code->output_scale);
  }
  plain.offset =
      code->offset.defined() ? numbers(code->offset) : std::vector<double>(plain.scale.size(), 0.0);
  plain.low = whole_numbers(code->low);
  plain.high = whole_numbers(code->high);
  return plain;
}

int bits_of(uint64_t most) {
  int bits = 1;
  while (bits < 32 && most >> bits != 0) {
    ++bits;
  }
  return bits;
}

// The narrowest range for all rows: signed where that needs no more bits than counting from low.
CodeRange range_of(const PlainCode& plain) {
  const int64_t low = *std::min_element(plain.low.begin(), plain.low.end());
  const int64_t high = *std::max_element(plain.high.begin(), plain.high.end());
  uint64_t widest = 1;
  for (size_t i = 0; i < plain.low.size(); ++i) {
    const int64_t end = plain.high[plain.high.size() == 1 ? 0 : i];
    widest = std::max(widest, static_cast<uint64_t>(end - plain.low[i]));
  }
  const int counted = bits_of(widest);
  const int as_signed = 1 + bits_of(static_cast<uint64_t>(std::max({high, -low - 1, int64_t{0}})));
  // -1..0 needs one bit only.
  if (low < 0 && (as_signed <= counted || (counted == 1 && high == 0))) {
    return {std::max(as_signed, 1), true, low, high};
  }
  return {counted, false, 0, static_cast<int64_t>(widest)};
}

double row_value(const std::vector<double>& values, size_t row) {
  return values[values.size() == 1 ? 0 : row];
}

// How the values of a row are counted: scale (multiplier c + shift) is step (c + low) + offset.
void finish_rows(WeightCode& code, const PlainCode& plain, const std::string& node) {
  constexpr double kTolerance = 1e-5;
  const size_t rows = std::max(plain.scale.size(), plain.low.size());
  const auto half_off = [&](size_t i) {
    return std::abs(std::abs(row_value(plain.offset, i)) - row_value(plain.scale, i) / 2) <=
           kTolerance * row_value(plain.scale, i);
  };
  code.multiplier = row_value(plain.offset, 0) != 0 ? 2 : 1;
  for (size_t i = 0; i < rows; ++i) {
    const double scale = row_value(plain.scale, i), offset = row_value(plain.offset, i);
    SSDQ_CHECK(code.multiplier == 1 ? offset == 0 : half_off(i),
               "{}: weights with offset {} and step {} have no integers", node, offset, scale);
    const int64_t low = code.range.is_signed ? 0 : plain.low[plain.low.size() == 1 ? 0 : i];
    const int64_t half = offset == 0 ? 0 : offset > 0 ? 1 : -1;
    code.shift.push_back(code.multiplier * low + half);
    code.scale.push_back(scale / code.multiplier);
  }
  if (std::all_of(code.shift.begin(), code.shift.end(),
                  [&](int64_t shift) { return shift == code.shift.front(); })) {
    code.shift.resize(1);
  }
}

}  // namespace

bool ActivationCode::has_whole_zero() const { return zero_point == std::nearbyint(zero_point); }

ActivationCode activation_code(const QuantizerImpl& quantizer) {
  const PlainCode plain = plain_code(quantizer, torch::zeros({1, 1, 1, 1}));
  ActivationCode code;
  code.range = range_of(plain);
  code.scale = plain.scale.front();
  code.encode_scale = plain.encode_scale.front();
  code.zero_point = code.range.is_signed ? 0.0 : -static_cast<double>(plain.low.front());
  if (code.zero_point == 0) {
    code.zero_point = 0;  // not -0
  }
  if (plain.offset.front() != 0) {
    code.zero_point -= plain.offset.front() / code.scale;
  }
  return code;
}

WeightCode weight_code_of(ConvBlockImpl& block) {
  const torch::NoGradGuard no_grad;
  const QuantizerImpl& quantizer = *block.options().weight_quantizer;
  const PlainCode plain = plain_code(quantizer, block.weight_to_quantize());
  WeightCode code;
  code.range = range_of(plain);
  finish_rows(code, plain, quantizer.spec().node);
  const torch::Tensor weight = block.effective_weight().to(torch::kCPU, torch::kFloat).contiguous();
  const auto rows = static_cast<size_t>(weight.size(0));
  const size_t length = rows == 0 ? 0 : static_cast<size_t>(weight.numel()) / rows;
  for (size_t i = 0; i < rows * length; ++i) {
    const double value = static_cast<double>(weight.data_ptr<float>()[i]);
    const double scale = code.scale_of(i / length);
    const auto shift = static_cast<double>(code.shift_of(i / length));
    const double position = scale > 0 ? (value / scale - shift) / code.multiplier : 0.0;
    const double nearest = std::clamp(std::nearbyint(position), static_cast<double>(code.range.low),
                                      static_cast<double>(code.range.high));
    SSDQ_CHECK(std::abs(position - nearest) < 0.01,
               "{}: the weight {} is no integer times its step {}", quantizer.spec().node, value,
               scale);
    code.codes.push_back(static_cast<int64_t>(nearest));
  }
  return code;
}

}  // namespace ssdq
