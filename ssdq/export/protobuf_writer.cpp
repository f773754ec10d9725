#include "ssdq/export/protobuf_writer.h"

#include <cstring>

namespace ssdq {
namespace {

constexpr int kVarint = 0;
constexpr int kLengthDelimited = 2;
constexpr int kFourBytes = 5;

}  // namespace

void ProtobufWriter::varint(uint64_t value) {
  while (value >= 0x80) {
    text_.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  text_.push_back(static_cast<char>(value));
}

void ProtobufWriter::tag(int field, int wire_type) {
  varint(static_cast<uint64_t>(field) << 3U | static_cast<uint64_t>(wire_type));
}

void ProtobufWriter::integer(int field, int64_t value) {
  tag(field, kVarint);
  varint(static_cast<uint64_t>(value));
}

void ProtobufWriter::real(int field, float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  tag(field, kFourBytes);
  for (int i = 0; i < 4; ++i) {
    text_.push_back(static_cast<char>(bits >> (8 * i)));
  }
}

void ProtobufWriter::bytes(int field, std::string_view value) {
  tag(field, kLengthDelimited);
  varint(value.size());
  text_.append(value);
}

}  // namespace ssdq
