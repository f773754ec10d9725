#pragma once

#include <cstdint>
#include <cstring>

#include <immintrin.h>

// Vectors of 8 floats; see simd.h.

namespace ssdq {
namespace {

using Bf16 = uint16_t;  // the bits of a bfloat16

constexpr const char* kInstructionSet = "avx2";
constexpr int kLanes = 8;

struct MaskAvx2 {
  __m256 m;

  static MaskAvx2 from_bits(const uint8_t* bytes) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i set = _mm256_and_si256(_mm256_set1_epi32(*bytes), bit);
    return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(set, bit))};
  }
  void to_bits(uint8_t* bytes) const { *bytes = static_cast<uint8_t>(_mm256_movemask_ps(m)); }
  static MaskAvx2 all() { return {_mm256_castsi256_ps(_mm256_set1_epi32(-1))}; }
  bool is_all() const { return _mm256_movemask_ps(m) == 0xFF; }
};
inline MaskAvx2 operator&(MaskAvx2 a, MaskAvx2 b) { return {_mm256_and_ps(a.m, b.m)}; }
inline MaskAvx2 operator!(MaskAvx2 a) { return {_mm256_xor_ps(a.m, MaskAvx2::all().m)}; }

struct VecAvx2 {
  __m256 v;

  static VecAvx2 all(float x) { return {_mm256_set1_ps(x)}; }
  static VecAvx2 load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static VecAvx2 load(const Bf16* p) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(Bf16* p) const {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    const __m256i high = _mm256_srli_epi32(up, 16);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1)));
  }
};
inline VecAvx2 operator+(VecAvx2 a, VecAvx2 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline VecAvx2 operator-(VecAvx2 a, VecAvx2 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline VecAvx2 operator*(VecAvx2 a, VecAvx2 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline VecAvx2 operator/(VecAvx2 a, VecAvx2 b) { return {_mm256_div_ps(a.v, b.v)}; }
inline VecAvx2 min(VecAvx2 a, VecAvx2 b) { return {_mm256_min_ps(a.v, b.v)}; }
inline VecAvx2 max(VecAvx2 a, VecAvx2 b) { return {_mm256_max_ps(a.v, b.v)}; }
inline VecAvx2 abs(VecAvx2 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.v)}; }
inline VecAvx2 round_even(VecAvx2 a) { return {_mm256_round_ps(a.v, 8)}; }
inline MaskAvx2 operator<=(VecAvx2 a, VecAvx2 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
inline MaskAvx2 operator<(VecAvx2 a, VecAvx2 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
inline VecAvx2 gather(const float* table, VecAvx2 index) {
  return {_mm256_i32gather_ps(table, _mm256_cvtps_epi32(index.v), 4)};
}
inline VecAvx2 power_of_two(VecAvx2 n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}
inline VecAvx2 select(MaskAvx2 m, VecAvx2 a, VecAvx2 b) {
  return {_mm256_blendv_ps(b.v, a.v, m.m)};
}

using Mask = MaskAvx2;
using Vec = VecAvx2;

}  // namespace
}  // namespace ssdq
