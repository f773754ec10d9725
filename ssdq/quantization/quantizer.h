#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ssdq/config/config.h"
#include "ssdq/quantization/fake_quantize.h"

namespace ssdq {

// What a method is told about the tensor that it quantizes.
struct TensorSpec {
  int bits = 8;           // 32: no quantization; methods of levels (bwn) read it as their number
  bool is_signed = true;  // activations: may the tensor be negative?
  int64_t channels = 1;   // weights: output channels (dimension 0); activations: dimension 1
  std::string node;       // for messages
};

// What the training schedule asks of a quantizer.
struct QuantizerMode {
  bool quantize = true;  // false: forward returns its input
  bool observe = true;   // false: ranges stay as they are, in training too
};

// For reports: "per channel, symmetric" and "[-1, 0.99]"; the range is empty while unknown.
struct QuantizerReport {
  int bits = 32;
  std::string granularity;
  std::string range;
};

// What a quantizer wants to see of the next tensor before it quantizes it.
enum class Observation { kNothing, kExtremes, kTensor };

// Maps a float tensor of any shape to the values its code can hold, same shape and dtype, with a
// straight-through gradient. In training forward() first lets the range follow the data; eval()
// never moves a range. Ranges are buffers or parameters, so checkpoints carry them.
class QuantizerImpl : public torch::nn::Module {
 public:
  explicit QuantizerImpl(TensorSpec spec) : spec_(std::move(spec)) {}

  // Throws Error naming the node for infinities and NaN (on a GPU, which does not wait for the
  // answer, the result is NaN instead), and in evaluation when there is no range yet.
  torch::Tensor forward(const torch::Tensor& x);

  // For an operator that quantizes its result on the way, instead of forward(): what to show first;
  // to show it, with the extremes of the tensor (kExtremes); and the function of a tensor of these
  // sizes, or nothing when forward() is needed.
  Observation wanted() const;
  void show_extremes(const torch::Tensor& min, const torch::Tensor& max);
  std::optional<FakeQuantization> function(c10::IntArrayRef sizes);
  // Throws the Error of forward() for a tensor that is not finite.
  [[noreturn]] void refuse(const NonFinite& error) const;

  void set_mode(QuantizerMode mode) { mode_ = mode; }
  const QuantizerMode& mode() const { return mode_; }

  // Goes on with another code width, keeping the range of values that the code covers.
  virtual void set_bits(int bits) { spec_.bits = bits; }

  virtual QuantizerReport report() const = 0;

  // The values that forward() gives for `x` in evaluation as whole numbers c, low <= c <= high: y =
  // c step output_scale / gain + offset. Nothing for levels that are not equally spaced.
  virtual std::optional<AffineCode> value_code(const torch::Tensor& x) const {
    const auto function = affine(x.sizes());
    return function ? std::optional<AffineCode>(function->code) : std::nullopt;
  }

  // Takes a range from elsewhere in place of observed data: codes shall cover -magnitude ..
  // magnitude (from 0 where they are unsigned). False for a quantizer that has no such range.
  virtual bool set_range(double /*magnitude*/) { return false; }

  const TensorSpec& spec() const { return spec_; }

 protected:
  // Moves the range towards `x`. Called before quantize() in training, without gradients.
  virtual void observe(const torch::Tensor& /*x*/) {}
  virtual torch::Tensor quantize(const torch::Tensor& x) = 0;

  // What observe() would look at now (all of it, unless quantize() is an affine code), and the same
  // as observe() with extremes alone.
  virtual Observation observation() const { return Observation::kTensor; }
  virtual void follow(const torch::Tensor& /*min*/, const torch::Tensor& /*max*/) {}
  // quantize() as a function of a tensor of these sizes where it is an affine code for the tensor.
  virtual std::optional<FakeQuantization> affine(c10::IntArrayRef /*sizes*/) const { return {}; }

 private:
  TensorSpec spec_;
  QuantizerMode mode_;
};

using QuantizerPtr = std::shared_ptr<QuantizerImpl>;

// How a convolution with batch norm is trained.
enum class BatchNormFolding {
  kNone,    // batch norm follows the convolution with the quantized weight
  kTwoPass  // the weight is multiplied by the batch norm's scale before it is quantized
};

// A way to quantize a network: makes the quantizers of its convolutions and joints. Nothing else in
// the code knows a method by name.
class QuantizationMethod {
 public:
  virtual ~QuantizationMethod() = default;

  // Both return null where the method leaves the tensor alone (32 bits) and throw ConfigError for
  // widths that it refuses.
  virtual QuantizerPtr weight_quantizer(const TensorSpec& spec) const = 0;
  virtual QuantizerPtr activation_quantizer(const TensorSpec& spec) const = 0;

  virtual BatchNormFolding batch_norm_folding() const { return BatchNormFolding::kNone; }

  // True when inputs of this width are to be quantized before the ReLU that makes them (binary
  // activations -1 and 1 carry no sign after it).
  virtual bool skips_relu(int /*abits*/) const { return false; }
};

// Gives the method of a registered type with these options.
using QuantizationMethods = std::function<std::shared_ptr<const QuantizationMethod>(
    const std::string& type, const Options& options)>;

}  // namespace ssdq
