#pragma once

#include <cstdint>
#include <cstring>

// Vectors of 8 floats in plain C++; see simd.h.

namespace ssdq {
namespace {

using Bf16 = uint16_t;  // the bits of a bfloat16

constexpr const char* kInstructionSet = "portable";
constexpr int kLanes = 8;

struct MaskPortable {
  uint32_t m[kLanes];  // all bits or none

  static MaskPortable from_bits(const uint8_t* bytes) {
    MaskPortable mask{};
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
  static MaskPortable all() {
    MaskPortable mask{};
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

struct VecPortable {
  float v[kLanes];

  template <typename Function>
  static VecPortable make(Function function) {
    VecPortable result{};
    for (int i = 0; i < kLanes; ++i) {
      result.v[i] = function(i);
    }
    return result;
  }
  static VecPortable all(float x) {
    return make([&](int) { return x; });
  }
  static VecPortable load(const float* p) {
    return make([&](int i) { return p[i]; });
  }
  static VecPortable load(const Bf16* p) {
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
inline MaskPortable compare(Function function) {
  MaskPortable mask{};
  for (int i = 0; i < kLanes; ++i) {
    mask.m[i] = 0U - static_cast<uint32_t>(function(i));
  }
  return mask;
}

inline MaskPortable operator&(MaskPortable a, const MaskPortable& b) {
  for (int i = 0; i < kLanes; ++i) {
    a.m[i] &= b.m[i];
  }
  return a;
}
inline MaskPortable operator!(MaskPortable a) {
  for (uint32_t& lane : a.m) {
    lane = ~lane;
  }
  return a;
}
inline VecPortable operator+(const VecPortable& a, const VecPortable& b) {
  return VecPortable::make([&](int i) { return a.v[i] + b.v[i]; });
}
inline VecPortable operator-(const VecPortable& a, const VecPortable& b) {
  return VecPortable::make([&](int i) { return a.v[i] - b.v[i]; });
}
inline VecPortable operator*(const VecPortable& a, const VecPortable& b) {
  return VecPortable::make([&](int i) { return a.v[i] * b.v[i]; });
}
inline VecPortable operator/(const VecPortable& a, const VecPortable& b) {
  return VecPortable::make([&](int i) { return a.v[i] / b.v[i]; });
}
inline VecPortable min(const VecPortable& a, const VecPortable& b) {
  return VecPortable::make([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline VecPortable max(const VecPortable& a, const VecPortable& b) {
  return VecPortable::make([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline VecPortable abs(const VecPortable& a) {
  return VecPortable::make([&](int i) { return __builtin_fabsf(a.v[i]); });
}
// Adding and subtracting 1.5 * 2^23 leaves no fraction bits; for magnitudes below 2^22.
inline VecPortable round_even(const VecPortable& a) {
  constexpr float kMagic = 12582912.0F;
  return VecPortable::make([&](int i) { return (a.v[i] + kMagic) - kMagic; });
}
inline MaskPortable operator<=(const VecPortable& a, const VecPortable& b) {
  return compare([&](int i) { return a.v[i] <= b.v[i]; });
}
inline MaskPortable operator<(const VecPortable& a, const VecPortable& b) {
  return compare([&](int i) { return a.v[i] < b.v[i]; });
}
inline VecPortable gather(const float* table, const VecPortable& index) {
  return VecPortable::make([&](int i) { return table[static_cast<int>(index.v[i])]; });
}
inline VecPortable power_of_two(const VecPortable& n) {
  return VecPortable::make([&](int i) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int>(n.v[i]) + 127) << 23;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  });
}
inline VecPortable select(const MaskPortable& m, const VecPortable& a, const VecPortable& b) {
  return VecPortable::make([&](int i) { return m.m[i] != 0 ? a.v[i] : b.v[i]; });
}

using Mask = MaskPortable;
using Vec = VecPortable;

}  // namespace
}  // namespace ssdq
