#include "ssdq/kernels/kernels.h"

namespace ssdq {

Kernels portable_kernels();
#if defined(__x86_64__)
Kernels avx2_kernels();
Kernels avx512_kernels();
#endif

std::vector<const Kernels*> supported_kernels() {
  std::vector<const Kernels*> result;
#if defined(__x86_64__)
  static const Kernels avx512 = avx512_kernels();
  static const Kernels avx2 = avx2_kernels();
  if (__builtin_cpu_supports("avx512f") != 0) {
    result.push_back(&avx512);
  }
  if (__builtin_cpu_supports("avx2") != 0) {
    result.push_back(&avx2);
  }
#endif
  static const Kernels portable = portable_kernels();
  result.push_back(&portable);
  return result;
}

const Kernels& kernels() {
  static const Kernels& best = *supported_kernels().front();
  return best;
}

}  // namespace ssdq
