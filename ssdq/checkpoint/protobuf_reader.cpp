#include "ssdq/checkpoint/protobuf_reader.h"

#include <algorithm>
#include <cstddef>

namespace ssdq {
namespace {

constexpr size_t kLongestInteger = 10;  // bytes of 7 bits
constexpr uint64_t kMaxFieldNumber = (uint64_t{1} << 29) - 1;

enum WireType : unsigned { kVarint = 0, kEightBytes = 1, kLengthDelimited = 2, kFourBytes = 5 };

}  // namespace

bool ProtobufReader::integer(uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < std::min(rest_.size(), kLongestInteger); ++i) {
    const auto byte = static_cast<unsigned char>(rest_[i]);
    value |= static_cast<uint64_t>(byte & 0x7FU) << (7 * i);
    if (byte < 0x80) {
      rest_.remove_prefix(i + 1);
      return true;
    }
  }
  damaged_ = damaged_ || !rest_.empty();
  return false;
}

bool ProtobufReader::take(uint64_t count, std::string_view& bytes) {
  if (count > rest_.size()) {
    return false;
  }
  bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return true;
}

bool ProtobufReader::next(ProtobufField& field) {
  uint64_t tag = 0;
  if (damaged_ || !integer(tag)) {
    return false;
  }
  field = {};
  field.number = tag >> 3;
  uint64_t length = 0;
  bool whole = field.number > 0 && field.number <= kMaxFieldNumber;
  switch (tag & 7U) {
    case kVarint:
      field.integer = true;
      whole = whole && integer(field.value);
      break;
    case kLengthDelimited:
      whole = whole && integer(length) && take(length, field.bytes);
      break;
    case kEightBytes:
      whole = whole && take(8, field.bytes);
      break;
    case kFourBytes:
      whole = whole && take(4, field.bytes);
      break;
    default:
      whole = false;
  }
  damaged_ = !whole;
  return whole;
}

}  // namespace ssdq
