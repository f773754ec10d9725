#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// Weights of two or three values for each output channel. Binary: mean|w| sign(w), sign(0) = 1.
// Ternary: alpha sign(w) where |w| > t, else 0, with t = 0.7 mean|w| and alpha the mean of |w| over
// those (0 if there are none). Both follow the weight; the gradient passes straight through.
//
// Papers: Rastegari et al., XNOR-Net, arXiv:1603.05279 (binary); Li et al., Ternary Weight
// Networks, arXiv:1605.04711.
// Departure: the binary gradient leaves out the terms of the paper's that come from mean|w|.
class LevelWeightQuantizerImpl : public QuantizerImpl {
 public:
  using QuantizerImpl::QuantizerImpl;  // 2 or 3 "bits": levels

  QuantizerReport report() const override;
  void set_bits(int bits) override;  // throws ConfigError for another width
  std::optional<AffineCode> value_code(const torch::Tensor& w) const override;

 protected:
  torch::Tensor quantize(const torch::Tensor& w) override;

 private:
  // Of a row: what a weight must exceed, and the value that it then has.
  std::pair<torch::Tensor, torch::Tensor> threshold_and_magnitude(const torch::Tensor& w) const;
};

// sign(x) with sign(0) = 1; the gradient passes where |x| < 1.
class SignActivationQuantizerImpl : public QuantizerImpl {
 public:
  using QuantizerImpl::QuantizerImpl;

  QuantizerReport report() const override;
  void set_bits(int bits) override;  // throws ConfigError for another width

 protected:
  torch::Tensor quantize(const torch::Tensor& x) override;
};

// TYPE bwn. WBITS 2 (binary), 3 (ternary); ABITS 2 (signs, taken before the ReLU); 16 and 32 leave
// a tensor in float. It has no OPTIONS.
std::shared_ptr<QuantizationMethod> make_bwn(const QuantizationConfig& config);

}  // namespace ssdq
