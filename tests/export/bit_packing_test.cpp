#include "ssdq/export/bit_packing.h"

#include <random>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

TEST(BitPacking, EveryWidthComesBack) {
  std::mt19937 random(1);
  for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 31, 32}) {
    for (const bool is_signed : {false, true}) {
      const int64_t low = is_signed ? -(int64_t{1} << (bits - 1)) : 0;
      const int64_t high = low + (int64_t{1} << bits) - 1;
      std::uniform_int_distribution<int64_t> draw(low, high);
      for (size_t count = 0; count < 20; ++count) {
        std::vector<int64_t> values = {low, high};
        values.resize(count);
        for (size_t i = 2; i < count; ++i) {
          values[i] = draw(random);
        }
        const std::string bytes = pack_bits(values, bits);
        EXPECT_EQ(bytes.size(), (count * static_cast<size_t>(bits) + 7) / 8);
        EXPECT_EQ(unpack_bits(bytes, count, bits, is_signed), values) << bits;
      }
    }
  }
}

TEST(BitPacking, TheFirstValueIsInTheLowBits) {
  EXPECT_EQ(pack_bits({1, -1, 7}, 4), std::string("\xF1\x07"));
  EXPECT_EQ(pack_bits({1, 0, 1, 1}, 1), std::string("\x0D"));
  EXPECT_EQ(pack_bits({1, 2, 3, 0, 2}, 2), std::string("\x39\x02"));
  EXPECT_EQ(pack_bits({5, 6, 7}, 3), std::string("\xF5\x01"));
  EXPECT_EQ(pack_bits({-2}, 16), std::string("\xFE\xFF"));
}

TEST(BitPacking, RefusesWhatDoesNotFit) {
  EXPECT_THROW(pack_bits({16}, 4), Error);
  EXPECT_THROW(pack_bits({-9}, 4), Error);
  EXPECT_THROW(pack_bits({0}, 0), Error);
  EXPECT_THROW(pack_bits({0}, 33), Error);
  EXPECT_THROW(unpack_bits("ab", 5, 4, true), Error);
  EXPECT_THROW(unpack_bits("abc", 4, 4, true), Error);
  EXPECT_THROW(unpack_bits("abc", static_cast<size_t>(-1), 8, true), Error);
}

}  // namespace
}  // namespace ssdq
