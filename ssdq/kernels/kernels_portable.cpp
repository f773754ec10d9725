#include "ssdq/kernels/kernels_impl.h"

namespace ssdq {

Kernels portable_kernels() { return {kInstructionSet, typed<float>(), typed<Bf16>()}; }

}  // namespace ssdq
