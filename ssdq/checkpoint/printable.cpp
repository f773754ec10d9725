#include "ssdq/checkpoint/printable.h"

#include <algorithm>
#include <cstdint>

namespace ssdq {
namespace {

constexpr size_t kMaxShown = 80;

// The code point at the start of `text`, which has `size` bytes; the caller checked the lead byte.
bool is_sequence(std::string_view text, size_t size) {
  if (text.size() < size) {
    return false;
  }
  uint32_t code = static_cast<unsigned char>(text[0]) & (0x7FU >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) {
      return false;
    }
    code = code << 6 | (byte & 0x3F);
  }
  const uint32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
  return code >= least && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, kMaxShown));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > kMaxShown ? shown + "..." : shown;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (size == 0 || lead > 0xF4 || (size > 1 && !is_sequence(text, size))) {
      return false;
    }
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace ssdq
