#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ssdq {

// Builds one message in the protocol buffers wire format: fields in the order of the calls, numbers
// little-endian. A repeated field is written by a call for each element.
class ProtobufWriter {
 public:
  // int32, int64, bool and enum fields; negative values take ten bytes, as in the format.
  void integer(int field, int64_t value);
  void real(int field, float value);
  // string and bytes fields.
  void bytes(int field, std::string_view value);
  void message(int field, const ProtobufWriter& value) { bytes(field, value.text_); }

  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }

  // Room for so many bytes in all, for a message of known size.
  void reserve(size_t size) { text_.reserve(size); }

 private:
  void varint(uint64_t value);
  void tag(int field, int wire_type);

  std::string text_;
};

}  // namespace ssdq
