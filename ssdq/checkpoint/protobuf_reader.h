#pragma once

#include <cstdint>
#include <string_view>

namespace ssdq {

// A field of a message in the protocol buffers wire format.
struct ProtobufField {
  uint64_t number = 0;
  uint64_t value = 0;      // of an integer
  std::string_view bytes;  // of everything else
  bool integer = false;
};

// Walks through a message field by field. The bytes may be damaged or hostile: no field reaches out
// of them.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message) : rest_(message) {}

  // False behind the last field and at the first that is damaged.
  bool next(ProtobufField& field);

  // After next() has given false: whether the message ended as it should.
  bool complete() const { return rest_.empty() && !damaged_; }

  // The integer at the front, for packed ones; false when there is none.
  bool integer(uint64_t& value);

 private:
  bool take(uint64_t count, std::string_view& bytes);

  std::string_view rest_;
  bool damaged_ = false;
};

}  // namespace ssdq
