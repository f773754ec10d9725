#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ssdq/checkpoint/pickle.h"

namespace ssdq {

// A value inside another: under a text key, or at a place.
struct PickleEntry {
  std::string_view key;
  int64_t index = -1;  // -1: `key` counts
  PickleId value = 0;
};

// Whether it is a dict of any class.
bool is_mapping(const Pickle& pickle, PickleId id);

// A dict's values under keys that are text or whole numbers, out of its first `most` items; none
// for another value.
std::vector<PickleEntry> mapping_entries(const Pickle& pickle, PickleId id,
                                         size_t most = std::numeric_limits<size_t>::max());

// The values of a list, tuple or list-like object; none for another value.
std::vector<PickleEntry> sequence_entries(const Pickle& pickle, PickleId id);

// A number, truth value or text (up to 4096 bytes) as text; nothing for another value. NumPy's
// scalars count as numbers.
std::optional<std::string> plain_text(const Pickle& pickle, PickleId id);

}  // namespace ssdq
