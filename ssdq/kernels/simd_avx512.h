#pragma once

#include <cstdint>
#include <cstring>

#include <immintrin.h>

// Vectors of 16 floats; see simd.h.

namespace ssdq {
namespace {

using Bf16 = uint16_t;  // the bits of a bfloat16

constexpr const char* kInstructionSet = "avx512";
constexpr int kLanes = 16;

struct MaskAvx512 {
  __mmask16 m;

  static MaskAvx512 from_bits(const uint8_t* bytes) {
    uint16_t bits;
    std::memcpy(&bits, bytes, 2);
    return {bits};
  }
  void to_bits(uint8_t* bytes) const {
    const uint16_t bits = m;
    std::memcpy(bytes, &bits, 2);
  }
  static MaskAvx512 all() { return {0xFFFF}; }
  bool is_all() const { return m == 0xFFFF; }
};
inline MaskAvx512 operator&(MaskAvx512 a, MaskAvx512 b) {
  return {static_cast<__mmask16>(a.m & b.m)};
}
inline MaskAvx512 operator!(MaskAvx512 a) { return {static_cast<__mmask16>(~a.m)}; }

struct VecAvx512 {
  __m512 v;

  static VecAvx512 all(float x) { return {_mm512_set1_ps(x)}; }
  static VecAvx512 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static VecAvx512 load(const Bf16* p) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(Bf16* p) const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16)));
  }
};
inline VecAvx512 operator+(VecAvx512 a, VecAvx512 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline VecAvx512 operator-(VecAvx512 a, VecAvx512 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline VecAvx512 operator*(VecAvx512 a, VecAvx512 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline VecAvx512 operator/(VecAvx512 a, VecAvx512 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline VecAvx512 min(VecAvx512 a, VecAvx512 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline VecAvx512 max(VecAvx512 a, VecAvx512 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline VecAvx512 abs(VecAvx512 a) { return {_mm512_abs_ps(a.v)}; }
inline VecAvx512 round_even(VecAvx512 a) { return {_mm512_roundscale_ps(a.v, 8)}; }
inline MaskAvx512 operator<=(VecAvx512 a, VecAvx512 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
}
inline MaskAvx512 operator<(VecAvx512 a, VecAvx512 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
inline VecAvx512 gather(const float* table, VecAvx512 index) {
  return {_mm512_i32gather_ps(_mm512_cvtps_epi32(index.v), table, 4)};
}
inline VecAvx512 power_of_two(VecAvx512 n) {
  const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23))};
}
inline VecAvx512 select(MaskAvx512 m, VecAvx512 a, VecAvx512 b) {
  return {_mm512_mask_blend_ps(m.m, b.v, a.v)};
}

using Mask = MaskAvx512;
using Vec = VecAvx512;

}  // namespace
}  // namespace ssdq
