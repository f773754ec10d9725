#include "ssdq/export/bit_packing.h"

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

void check_bits(int bits) {
  SSDQ_CHECK(bits >= 1 && bits <= 32, "integers of {} bits; expected 1 to 32", bits);
}

}  // namespace

std::string pack_bits(const std::vector<int64_t>& values, int bits) {
  check_bits(bits);
  const int64_t least = -(int64_t{1} << (bits - 1)), most = (int64_t{1} << bits) - 1;
  std::string bytes;
  bytes.reserve((values.size() * static_cast<size_t>(bits) + 7) / 8);
  uint64_t pending = 0;
  int filled = 0;
  for (const int64_t value : values) {
    SSDQ_CHECK(value >= least && value <= most, "{} does not fit into {} bits", value, bits);
    pending |= (static_cast<uint64_t>(value) & static_cast<uint64_t>(most)) << filled;
    for (filled += bits; filled >= 8; filled -= 8, pending >>= 8) {
      bytes.push_back(static_cast<char>(pending & 0xFF));
    }
  }
  if (filled > 0) {
    bytes.push_back(static_cast<char>(pending & 0xFF));
  }
  return bytes;
}

std::vector<int64_t> unpack_bits(std::string_view bytes, size_t count, int bits, bool is_signed) {
  check_bits(bits);
  const auto width = static_cast<size_t>(bits);
  SSDQ_CHECK(count <= bytes.size() * 8 / width && bytes.size() == (count * width + 7) / 8,
             "{} bytes cannot be {} integers of {} bits", bytes.size(), count, bits);
  const int64_t mask = (int64_t{1} << bits) - 1, sign = int64_t{1} << (bits - 1);
  std::vector<int64_t> values;
  values.reserve(count);
  uint64_t pending = 0;
  int filled = 0;
  size_t next = 0;
  while (values.size() < count) {
    for (; filled < bits; filled += 8) {
      pending |= uint64_t{static_cast<unsigned char>(bytes[next++])} << filled;
    }
    const int64_t code = static_cast<int64_t>(pending) & mask;
    values.push_back(is_signed && (code & sign) != 0 ? code - mask - 1 : code);
    pending >>= bits;
    filled -= bits;
  }
  return values;
}

}  // namespace ssdq
