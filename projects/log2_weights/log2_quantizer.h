#pragma once

#include <memory>

#include "ssdq/quantization/quantizer.h"

// Weights of a sign and a power of two, for hardware that shifts instead of multiplying: 0 and
// +-2^k with k = e - (2^(b-1) - 2) .. e, e = round(log2 max|w|) of the output channel. The exponent
// is rounded, so the nearest level is meant on a logarithmic scale; smaller weights become 0. The
// gradient passes straight through.
//
// Paper: Miyashita et al., Convolutional Neural Networks using Logarithmic Data Representation,
// arXiv:1603.01025.
class Log2WeightQuantizer : public ssdq::QuantizerImpl {
 public:
  using QuantizerImpl::QuantizerImpl;  // 2..8 bits

  ssdq::QuantizerReport report() const override;

 protected:
  torch::Tensor quantize(const torch::Tensor& w) override;
};

// TYPE log2: these weights, activations as `uniform`, OPTIONS of `uniform`.
std::shared_ptr<ssdq::QuantizationMethod> make_log2(const ssdq::QuantizationConfig& config);
