#include "ssdq/kernels/kernels_impl.h"

namespace ssdq {

Kernels avx512_kernels() { return {kInstructionSet, typed<float>(), typed<Bf16>()}; }

}  // namespace ssdq
