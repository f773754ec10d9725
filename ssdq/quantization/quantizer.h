#pragma once

#include <memory>
#include <string>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ssdq/config/config.h"

namespace ssdq {

// Maps a float tensor of any shape to the values its code can hold, same shape and dtype, with a
// straight-through gradient. train() may move ranges, eval() never does; ranges are buffers or
// parameters, so checkpoints carry them.
class QuantizerImpl : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& x) = 0;
};

using QuantizerPtr = std::shared_ptr<QuantizerImpl>;

// What a method is told about the tensor that it quantizes.
struct TensorSpec {
  int bits = 8;           // 32: no quantization
  bool is_signed = true;  // activations: may the tensor be negative?
  int64_t channels = 1;   // weights: output channels (dimension 0)
  std::string node;       // for messages
};

// A way to quantize a network: makes the quantizers that a convolution owns. Nothing else in the
// code knows a method by name.
class QuantizationMethod {
 public:
  virtual ~QuantizationMethod() = default;

  // Both return null where the method leaves the tensor alone (32 bits) and throw ConfigError for
  // widths that it refuses.
  virtual QuantizerPtr weight_quantizer(const TensorSpec& spec) const = 0;
  virtual QuantizerPtr activation_quantizer(const TensorSpec& spec) const = 0;

  // True when a convolution must fold its batch norm into the weight before quantizing it.
  virtual bool folds_batch_norm() const { return false; }
};

}  // namespace ssdq
