#pragma once

#include <cstddef>  // defines __GLIBC__

// SSDQ_TARGET_CLONES before a function compiles it for several x86 instruction sets; the loader
// picks the best one the processor has. Empty where that does not work: sanitizers (they start
// after the pick), clang, other processors and C libraries without indirect functions.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && \
    !defined(SSDQ_SANITIZED)
#define SSDQ_TARGET_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define SSDQ_TARGET_CLONES
#endif
