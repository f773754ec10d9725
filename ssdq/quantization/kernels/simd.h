#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// Vectors of float for the instruction set that the including file is compiled for. Included by the
// kernels only: everything is internal to its file, so that no code of a wider instruction set can
// end up in another one.

namespace ssdq {
namespace {

using Bf16 = uint16_t;  // the bits of a bfloat16

#if defined(__AVX512F__)

constexpr int kLanes = 16;

struct Mask {
  __mmask16 m;

  static Mask from_bits(const uint8_t* bytes) {
    uint16_t bits;
    std::memcpy(&bits, bytes, 2);
    return {bits};
  }
  void to_bits(uint8_t* bytes) const {
    const uint16_t bits = m;
    std::memcpy(bytes, &bits, 2);
  }
  static Mask all() { return {0xFFFF}; }
  bool is_all() const { return m == 0xFFFF; }
};
inline Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.m & b.m)}; }
inline Mask operator!(Mask a) { return {static_cast<__mmask16>(~a.m)}; }

struct Vec {
  __m512 v;

  static Vec all(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load(const Bf16* p) {
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
inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec round_even(Vec a) { return {_mm512_roundscale_ps(a.v, 8)}; }
inline Mask operator<=(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
inline Mask operator<(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline Vec select(Mask m, Vec a, Vec b) { return {_mm512_mask_blend_ps(m.m, b.v, a.v)}; }

#elif defined(__AVX2__)

constexpr int kLanes = 8;

struct Mask {
  __m256 m;

  static Mask from_bits(const uint8_t* bytes) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i set = _mm256_and_si256(_mm256_set1_epi32(*bytes), bit);
    return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(set, bit))};
  }
  void to_bits(uint8_t* bytes) const { *bytes = static_cast<uint8_t>(_mm256_movemask_ps(m)); }
  static Mask all() { return {_mm256_castsi256_ps(_mm256_set1_epi32(-1))}; }
  bool is_all() const { return _mm256_movemask_ps(m) == 0xFF; }
};
inline Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.m, b.m)}; }
inline Mask operator!(Mask a) { return {_mm256_xor_ps(a.m, Mask::all().m)}; }

struct Vec {
  __m256 v;

  static Vec all(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load(const Bf16* p) {
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
inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.v)}; }
inline Vec round_even(Vec a) { return {_mm256_round_ps(a.v, 8)}; }
inline Mask operator<=(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
inline Mask operator<(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
inline Vec select(Mask m, Vec a, Vec b) { return {_mm256_blendv_ps(b.v, a.v, m.m)}; }

#else

constexpr int kLanes = 8;

struct Mask {
  uint32_t m[kLanes];  // all bits or none

  static Mask from_bits(const uint8_t* bytes) {
    Mask mask{};
    for (int i = 0; i < kLanes; ++i) {
      mask.m[i] = 0U - ((static_cast<uint32_t>(*bytes) >> i) & 1U);
    }
    return mask;
  }
  void to_bits(uint8_t* bytes) const {
    uint32_t bits = 0;
    for (int i = 0; i < kLanes; ++i) {
      bits |= (m[i] & 1U) << i;
    }
    *bytes = static_cast<uint8_t>(bits);
  }
  static Mask all() {
    Mask mask{};
    for (uint32_t& lane : mask.m) {
      lane = ~0U;
    }
    return mask;
  }
  bool is_all() const {
    uint32_t every = ~0U;
    for (const uint32_t lane : m) {
      every &= lane;
    }
    return every == ~0U;
  }
};

struct Vec {
  float v[kLanes];

  template <typename Function>
  static Vec make(Function function) {
    Vec result{};
    for (int i = 0; i < kLanes; ++i) {
      result.v[i] = function(i);
    }
    return result;
  }
  static Vec all(float x) {
    return make([&](int) { return x; });
  }
  static Vec load(const float* p) {
    return make([&](int i) { return p[i]; });
  }
  static Vec load(const Bf16* p) {
    return make([&](int i) {
      const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      return value;
    });
  }
  void store(float* p) const { std::memcpy(p, v, sizeof(v)); }
  void store(Bf16* p) const {
    for (int i = 0; i < kLanes; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &v[i], sizeof(bits));
      p[i] = static_cast<Bf16>((bits + 0x7FFF + ((bits >> 16) & 1U)) >> 16);
    }
  }
};

template <typename Function>
inline Mask compare(Function function) {
  Mask mask{};
  for (int i = 0; i < kLanes; ++i) {
    mask.m[i] = 0U - static_cast<uint32_t>(function(i));
  }
  return mask;
}

inline Mask operator&(Mask a, const Mask& b) {
  for (int i = 0; i < kLanes; ++i) {
    a.m[i] &= b.m[i];
  }
  return a;
}
inline Mask operator!(Mask a) {
  for (uint32_t& lane : a.m) {
    lane = ~lane;
  }
  return a;
}
inline Vec operator+(const Vec& a, const Vec& b) {
  return Vec::make([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec operator-(const Vec& a, const Vec& b) {
  return Vec::make([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec operator*(const Vec& a, const Vec& b) {
  return Vec::make([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec operator/(const Vec& a, const Vec& b) {
  return Vec::make([&](int i) { return a.v[i] / b.v[i]; });
}
inline Vec min(const Vec& a, const Vec& b) {
  return Vec::make([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec max(const Vec& a, const Vec& b) {
  return Vec::make([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec abs(const Vec& a) {
  return Vec::make([&](int i) { return __builtin_fabsf(a.v[i]); });
}
// Adding and subtracting 1.5 * 2^23 leaves no fraction bits; for magnitudes below 2^22.
inline Vec round_even(const Vec& a) {
  constexpr float kMagic = 12582912.0F;
  return Vec::make([&](int i) { return (a.v[i] + kMagic) - kMagic; });
}
inline Mask operator<=(const Vec& a, const Vec& b) {
  return compare([&](int i) { return a.v[i] <= b.v[i]; });
}
inline Mask operator<(const Vec& a, const Vec& b) {
  return compare([&](int i) { return a.v[i] < b.v[i]; });
}
inline Vec select(const Mask& m, const Vec& a, const Vec& b) {
  return Vec::make([&](int i) { return m.m[i] != 0 ? a.v[i] : b.v[i]; });
}

#endif

}  // namespace
}  // namespace ssdq
