#include "ssdq/checkpoint/ncnn_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "ssdq/checkpoint/ncnn_param.h"
#include "ssdq/checkpoint/printable.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr uint32_t kFloat32 = 0, kFloat32Tagged = 0x0002C056, kFloat16 = 0x01306B47,
                   kInt8 = 0x000D4B38;
constexpr int64_t kMostChannels = 1 << 20;
constexpr int64_t kMostSide = 1 << 12;
constexpr int64_t kMostWeights = int64_t{1} << 31U;

// Layers without weights of their own.
constexpr std::array<std::string_view, 39> kPlainLayers{
    "AbsVal",     "ArgMax",    "BinaryOp", "Clip",
    "Concat",     "Crop",      "Deconcat", "DetectionOutput",
    "Dropout",    "ELU",       "Eltwise",  "Exp",
    "ExpandDims", "Flatten",   "GELU",     "HardSigmoid",
    "HardSwish",  "Input",     "Interp",   "LRN",
    "Log",        "Mish",      "Noop",     "Packing",
    "Permute",    "Pooling",   "Power",    "PriorBox",
    "ReLU",       "Reduction", "Reshape",  "ShuffleChannel",
    "Sigmoid",    "Slice",     "Softmax",  "Split",
    "Squeeze",    "Swish",     "UnaryOp"};

float half_to_float(uint16_t half) {
  const auto exponent = static_cast<int>((half >> 10U) & 0x1FU);
  const auto fraction = static_cast<float>(half & 0x3FFU);
  float value =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024.0F, exponent - 25);
  if (exponent == 31) {
    value = fraction == 0 ? INFINITY : NAN;
  }
  return (half & 0x8000U) != 0 ? -value : value;
}

// Hands out the bytes of the weights in their order.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  std::string_view take(uint64_t count, std::string_view layer) {
    SSDQ_CHECK(count <= rest_.size(),
               "layer '{}': the weights are truncated: {} bytes are needed and {} are there",
               printable(layer), count, rest_.size());
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  std::vector<float> floats(int64_t count, std::string_view layer) {
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");
    const auto bytes = take(static_cast<uint64_t>(count) * sizeof(float), layer);
    std::vector<float> values(static_cast<size_t>(count));
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(values.data()));
    return values;
  }

  uint64_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

// Values are codes where `is_int8`.
struct Weights {
  std::vector<float> values;
  bool is_int8 = false;
};

uint64_t padded(int64_t bytes) { return (static_cast<uint64_t>(bytes) + 3) / 4 * 4; }

Weights read_tagged(Bytes& bytes, int64_t count, std::string_view layer) {
  uint32_t tag = 0;
  const auto start = bytes.take(sizeof tag, layer);
  std::memcpy(&tag, start.data(), sizeof tag);
  if (tag == kFloat32 || tag == kFloat32Tagged) {
    return {bytes.floats(count, layer)};
  }
  Weights weights;
  if (tag == kInt8) {
    const auto codes = bytes.take(padded(count), layer).substr(0, static_cast<size_t>(count));
    weights.is_int8 = true;
    std::transform(codes.begin(), codes.end(), std::back_inserter(weights.values),
                   [](char code) { return static_cast<float>(static_cast<signed char>(code)); });
    return weights;
  }
  SSDQ_CHECK(tag == kFloat16,
             "layer '{}': its weights are of kind {:#010x}; SSDQ reads float32, float16 and int8 "
             "(not ncnn's tables of 256 values)",
             printable(layer), tag);
  const auto halves = bytes.take(padded(2 * count), layer);
  for (int64_t i = 0; i < count; ++i) {
    uint16_t half = 0;
    std::memcpy(&half, halves.data() + 2 * i, sizeof half);
    weights.values.push_back(half_to_float(half));
  }
  return weights;
}

// A layer with weights: Convolution, ConvolutionDepthWise, InnerProduct.
class WeightReader {
 public:
  WeightReader(const NcnnLayer& layer, Bytes& bytes) : layer_(layer), bytes_(bytes) {
    const bool dense = layer.type == "InnerProduct";
    out_ = layer.integer(0, 0, 1, kMostChannels);
    groups_ = layer.type == "ConvolutionDepthWise" ? layer.integer(7, 1, 1, kMostChannels) : 1;
    has_bias_ = layer.integer(dense ? 1 : 5, 0, 0, 1) == 1;
    count_ = layer.integer(dense ? 2 : 6, 0, 1, kMostWeights);
    scales_ = layer.integer(8, 0, 0, 102);
    const int64_t width = dense ? 1 : layer.integer(1, 1, 1, kMostSide);
    const int64_t height = dense ? 1 : layer.integer(11, width, 1, kMostSide);
    SSDQ_CHECK(out_ > 0 && count_ > 0 && count_ % (out_ * width * height) == 0 &&
                   out_ % groups_ == 0 && scales_ % 100 <= 2,
               "layer '{}': {} weights, {} outputs in {} groups of {}x{} pixels do not go together",
               printable(layer.name), count_, out_, groups_, height, width);
    const int64_t in = count_ / (out_ * width * height);
    shape_ = dense ? std::vector<int64_t>{out_, in} : std::vector<int64_t>{out_, in, height, width};
  }

  void append_to(std::vector<NcnnTensor>& tensors) {
    auto weights = read_tagged(bytes_, count_, layer_.name);
    const auto bias = has_bias_ ? bytes_.floats(out_, layer_.name) : std::vector<float>();
    const auto weight_scale = scales_ > 0 ? read_weight_scale() : std::vector<float>();
    if (weights.is_int8) {
      SSDQ_CHECK(!weight_scale.empty(), "layer '{}': its weights are int8 but have no scale",
                 printable(layer_.name));
      dequantize(weights.values, weight_scale);
    }
    add(tensors, "weight", shape_, std::move(weights.values));
    if (has_bias_) {
      add(tensors, "bias", {out_}, bias);
    }
    if (scales_ > 0) {
      add(tensors, "weight_scale", {out_}, weight_scale);
      add(tensors, "input_scale", {1}, read_scales(1));
    }
    if (scales_ > 100) {
      add(tensors, "output_scale", {1}, read_scales(1));
    }
  }

 private:
  std::vector<float> read_scales(int64_t count) {
    auto scales = bytes_.floats(count, layer_.name);
    const bool sound = std::all_of(scales.begin(), scales.end(), [](float x) { return x >= 0; });
    SSDQ_CHECK(sound, "layer '{}': a scale of its codes is negative or not a number",
               printable(layer_.name));
    return scales;
  }

  // For each output channel. Depthwise layers store one for each group, or one for all.
  std::vector<float> read_weight_scale() {
    const int64_t stored = layer_.type != "ConvolutionDepthWise" ? out_
                           : scales_ % 100 == 1                  ? groups_
                                                                 : 1;
    const auto scales = read_scales(stored);
    std::vector<float> by_channel;
    for (int64_t c = 0; c < out_; ++c) {
      by_channel.push_back(scales[static_cast<size_t>(c * stored / out_)]);
    }
    return by_channel;
  }

  // A channel without weights has the scale 0 or infinity.
  void dequantize(std::vector<float>& codes, const std::vector<float>& scale) const {
    const auto per_channel = static_cast<size_t>(count_ / out_);
    for (size_t i = 0; i < codes.size(); ++i) {
      const float by = scale[i / per_channel];
      codes[i] = by > 0 ? codes[i] / by : 0;
    }
  }

  void add(std::vector<NcnnTensor>& tensors, const char* part, std::vector<int64_t> shape,
           std::vector<float> values) const {
    tensors.push_back({std::string(layer_.name) + "." + part, std::move(shape), std::move(values)});
  }

  const NcnnLayer& layer_;
  Bytes& bytes_;
  int64_t out_ = 0, groups_ = 1, count_ = 0, scales_ = 0;
  bool has_bias_ = false;
  std::vector<int64_t> shape_;
};

bool has_weights(const NcnnLayer& layer) {
  return layer.type == "Convolution" || layer.type == "ConvolutionDepthWise" ||
         layer.type == "InnerProduct";
}

}  // namespace

std::vector<NcnnTensor> read_ncnn_weights(std::string_view param, std::string_view bin) {
  Bytes bytes(bin);
  std::vector<NcnnTensor> tensors;
  std::set<std::string_view> names;
  for (const NcnnLayer& layer : parse_ncnn_param(param)) {
    if (!has_weights(layer)) {
      SSDQ_CHECK(
          std::find(kPlainLayers.begin(), kPlainLayers.end(), layer.type) != kPlainLayers.end(),
          "layer '{}' is of type {}, which may have weights that SSDQ does not read",
          printable(layer.name), printable(layer.type));
      continue;
    }
    SSDQ_CHECK(names.insert(layer.name).second && is_utf8(layer.name),
               "two layers with weights are named '{}', or the name is not UTF-8",
               printable(layer.name));
    WeightReader(layer, bytes).append_to(tensors);
  }
  SSDQ_CHECK(bytes.left() == 0,
             "{} bytes of the weights are left over; the two files do not belong together",
             bytes.left());
  return tensors;
}

}  // namespace ssdq
