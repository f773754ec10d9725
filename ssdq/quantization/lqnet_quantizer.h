#pragma once

#include <memory>

#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/ranged_quantizer.h"

namespace ssdq {

// Levels are all sums of e_i v_i, e_i in {-1, 1} (weights and signed activations) or {0, 1}
// (unsigned activations), of a basis v that training fits: buffer "basis", [C, b] for weights (a
// basis for each output channel), [1, b] for activations. Each number takes the nearest level. In
// training the basis then moves a tenth of the way to the least-squares solution for the codes just
// chosen; where that is singular it stays. The gradient of a weight passes everywhere, that of an
// activation between the outer levels.
//
// Paper: Zhang et al., LQ-Nets, ECCV 2018, arXiv:1807.10029, algorithms 1 and 2.
// Departure: the first basis is v_i = 0.6745 r 2^i / 2^(b-1), r the root mean square of the numbers
// (times 2 for unsigned activations); the paper assumes the variance of the initialisation.
class LqNetQuantizerImpl : public RangedQuantizerImpl {
 public:
  LqNetQuantizerImpl(TensorSpec spec, bool is_weight);

  QuantizerReport report() const override;

 protected:
  void observe(const torch::Tensor& x) override;
  torch::Tensor quantize(const torch::Tensor& x) override;
  void convert(int from, int to) override;

 private:
  // The sums in rising order, and the codes that make them, [C, L] and [C, L, b].
  struct Levels {
    torch::Tensor values, codes;
  };
  Levels levels() const;
  void fit(const Levels& levels, const LevelStatistics& statistics);

  bool is_weight_;
  torch::Tensor basis_;
};

// TYPE lqnet, 1..8 bits. It has no OPTIONS.
std::shared_ptr<QuantizationMethod> make_lqnet(const QuantizationConfig& config);

}  // namespace ssdq
