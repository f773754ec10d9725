#pragma once

#include <torch/types.h>

namespace ssdq {

// While it lives, matrix products and convolutions of this thread run in bfloat16 on `device`'s
// kind of hardware; parameters stay float. Restores the former setting and drops the cast weights
// when it goes. Does nothing when not `enabled`.
class Bf16Autocast {
 public:
  Bf16Autocast(torch::Device device, bool enabled);
  ~Bf16Autocast();
  Bf16Autocast(const Bf16Autocast&) = delete;
  Bf16Autocast& operator=(const Bf16Autocast&) = delete;

 private:
  torch::Device device_;
  bool enabled_;
  bool was_enabled_ = false;
  torch::ScalarType previous_type_ = torch::kBFloat16;
};

}  // namespace ssdq
