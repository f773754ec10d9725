#include "ssdq/quantization/kernels/kernels_impl.h"

namespace ssdq {

Kernels avx2_kernels() { return {"avx2", typed<float>(), typed<Bf16>()}; }

}  // namespace ssdq
