#pragma once

#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// A quantizer whose range comes from data. Buffers: "observed", how many tensors set the range (0:
// none yet), and "width", the code width in bits that the range is expressed for.
class RangedQuantizerImpl : public QuantizerImpl {
 public:
  explicit RangedQuantizerImpl(TensorSpec spec);

  void set_bits(int bits) override;

 protected:
  // The range has been set, here or in the checkpoint.
  bool has_range() const;
  // Throws Error naming the node when it has not.
  void require_range() const;
  // Counts one more tensor.
  void count_observation();
  // Of the last tensor's statistics in the mean of all that were counted. A GPU is waited for.
  double observation_weight() const;
  // Re-expresses parameters of `from` bits for `to` bits, keeping the values that they cover.
  virtual void convert(int /*from*/, int /*to*/) {}

 private:
  torch::Tensor observed_, width_;
  mutable bool has_range_ = false;
};

}  // namespace ssdq
