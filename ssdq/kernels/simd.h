#pragma once

// Vec, Mask, kLanes and kInstructionSet: vectors of float for the instruction set that the
// including file is compiled for. Included by the kernels only: everything is internal to its file,
// so that no code of a wider instruction set can end up in another one.

#if defined(__AVX512F__)
#include "ssdq/kernels/simd_avx512.h"
#elif defined(__AVX2__)
#include "ssdq/kernels/simd_avx2.h"
#else
#include "ssdq/kernels/simd_portable.h"
#endif
