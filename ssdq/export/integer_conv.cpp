#include "ssdq/export/integer_conv.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr double kMostBias = std::numeric_limits<int32_t>::max();
constexpr double kConstantBias = 1 << 20;

std::vector<double> numbers(const torch::Tensor& x) {
  const torch::Tensor wide = x.detach().to(torch::kCPU, torch::kDouble).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

// What follows the convolution with effective_weight(): y = scale conv + bias.
struct ChannelMap {
  std::vector<double> scale, bias;
};

ChannelMap channel_map(const ConvBlockImpl& block) {
  const auto channels = static_cast<size_t>(block.weight.size(0));
  ChannelMap map{std::vector<double>(channels, 1.0), std::vector<double>(channels, 0.0)};
  if (block.bn.is_empty()) {
    if (block.bias.defined()) {
      map.bias = numbers(block.bias);
    }
    return map;
  }
  const auto gamma = numbers(block.bn->weight), beta = numbers(block.bn->bias);
  const auto mean = numbers(block.bn->running_mean), variance = numbers(block.bn->running_var);
  for (size_t c = 0; c < channels; ++c) {
    const double scale = gamma[c] / std::sqrt(variance[c] + block.bn->options.eps());
    map.scale[c] = block.folds_first() ? 1.0 : scale;
    map.bias[c] = beta[c] - mean[c] * scale;
  }
  return map;
}

// The largest |acc| that codes in range can give.
double most_of_row(const WeightCode& weight, const ActivationCode& input, size_t row,
                   size_t length) {
  const double reach = std::max(std::abs(static_cast<double>(input.range.low) - input.zero_point),
                                std::abs(static_cast<double>(input.range.high) - input.zero_point));
  double sum = 0;
  for (size_t i = row * length; i < (row + 1) * length; ++i) {
    const int64_t value = weight.multiplier * weight.codes[i] + weight.shift_of(row);
    sum += std::abs(static_cast<double>(value));
  }
  return sum * reach;
}

// Fills bias, and makes a channel constant whose scale is so small that 32 bits do not hold it.
void add_integer_bias(IntegerConv& conv, const std::string& node) {
  const size_t channels = conv.scale.size();
  const size_t length = channels == 0 ? 0 : conv.weight->codes.size() / channels;
  double most = 0;
  for (size_t c = 0; c < channels; ++c) {
    const double real = conv.real_bias[c];
    double reach = most_of_row(*conv.weight, *conv.input, c, length);
    if (conv.scale[c] == 0 || std::abs(real / conv.scale[c]) > kMostBias) {
      SSDQ_CHECK(
          reach * std::abs(conv.scale[c]) * kConstantBias <= std::abs(real) || conv.scale[c] == 0,
          "{}: the bias {} of channel {} is more than 2^31 times its scale {}", node, real, c,
          conv.scale[c]);
      conv.constant_channels.push_back(static_cast<int64_t>(c));
      conv.scale[c] = real == 0 ? 1.0 : std::abs(real) / kConstantBias;
      reach = 0;
    }
    const double bias = std::nearbyint(real / conv.scale[c]);
    conv.bias.push_back(static_cast<int32_t>(bias));
    most = std::max(most, reach + std::abs(bias));
  }
  conv.accumulator_bits = 2 + std::ilogb(std::max(most, 1.0));
}

}  // namespace

IntegerConv integer_conv(ConvBlockImpl& block) {
  const torch::NoGradGuard no_grad;
  const ConvBlockOptions& options = block.options();
  const ChannelMap map = channel_map(block);
  IntegerConv conv;
  conv.shape = block.weight.sizes().vec();
  conv.scale = std::vector<double>(map.scale.size(), 1.0);
  conv.real_bias = map.bias;
  if (options.input_quantizer) {
    conv.input = activation_code(*options.input_quantizer);
  }
  if (!options.weight_quantizer) {
    const torch::Tensor scale = torch::tensor(map.scale, torch::kDouble).view({-1, 1, 1, 1});
    const torch::Tensor weight =
        (block.weight.to(torch::kCPU, torch::kDouble) * scale).to(torch::kFloat).contiguous();
    conv.real_weight.assign(weight.data_ptr<float>(), weight.data_ptr<float>() + weight.numel());
    std::fill(conv.scale.begin(), conv.scale.end(), conv.input ? conv.input->scale : 1.0);
    return conv;
  }
  conv.weight = weight_code_of(block);
  for (size_t c = 0; c < conv.scale.size(); ++c) {
    conv.scale[c] = conv.weight->scale_of(c) * map.scale[c] * (conv.input ? conv.input->scale : 1);
  }
  if (conv.is_integer()) {
    add_integer_bias(conv, options.weight_quantizer->spec().node);
  }
  return conv;
}

std::optional<Requantization> requantization(const IntegerConv& conv, Activation activation,
                                             const ActivationCode& consumer) {
  const bool clamps = activation == Activation::kRelu || activation == Activation::kRelu6;
  if (!conv.is_integer() || !consumer.has_whole_zero() ||
      (!clamps && activation != Activation::kLinear)) {
    return {};
  }
  const auto zero = static_cast<int64_t>(consumer.zero_point);
  Requantization result;
  result.low = clamps ? std::max(consumer.range.low, zero) : consumer.range.low;
  result.high = consumer.range.high;
  if (activation == Activation::kRelu6) {
    const double six = std::nearbyint(6 / consumer.encode_scale);
    result.high =
        static_cast<int64_t>(std::min(static_cast<double>(result.high), six + consumer.zero_point));
  }
  for (const double scale : conv.scale) {
    const double factor = scale / consumer.encode_scale;
    int exponent = 0;
    auto mantissa = std::llround(std::ldexp(std::frexp(factor, &exponent), 31));
    if (std::abs(mantissa) == (1LL << 31)) {
      mantissa /= 2;
      ++exponent;
    }
    const int shift = 31 - exponent;
    if (factor != 0 && shift < 0) {
      return {};  // a step 2^31 times finer than the accumulator's
    }
    const bool vanishes = factor == 0 || shift > 62;
    result.factor.push_back(factor);
    result.mantissa.push_back(vanishes ? 0 : static_cast<int32_t>(mantissa));
    result.shift.push_back(vanishes ? 0 : shift);
  }
  return result;
}

}  // namespace ssdq
