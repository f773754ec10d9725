#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

namespace ssdq {

using PickleId = uint32_t;

// A value of a pickle. Values refer to each other by index, and so may form cycles; classes and
// functions are names, calls are records of the call: nothing is looked up or run.
struct PickleNode {
  enum class Kind : uint8_t {
    kNone,
    kBool,        // integer
    kInt,         // integer
    kBigInt,      // text: little-endian two's complement
    kFloat,       // real
    kString,      // text: UTF-8 as it is in the file, not checked
    kBytes,       // text
    kTuple,       // items
    kList,        // items
    kSet,         // items
    kDict,        // items: key, value, key, value, ...
    kGlobal,      // text: the name; callable: the string node of its module
    kObject,      // callable(args); state; items: what was appended, or pairs if `pairs`
    kPersistent,  // args: the persistent id
  };

  Kind kind = Kind::kNone;
  bool pairs = false;
  PickleId callable = 0;
  PickleId args = 0;
  PickleId state = 0;  // what BUILD was given; node 0 (None) without
  int64_t integer = 0;
  double real = 0;
  std::string_view text;
  std::vector<PickleId> items;
};

// Node 0 is None.
struct Pickle {
  std::deque<PickleNode> nodes;
  PickleId root = 0;
  size_t end = 0;  // bytes read, STOP included

  const PickleNode& operator[](PickleId id) const { return nodes[id]; }
};

// Reads one pickle of protocol 0 to 5 from the start of `bytes`, which must outlive the result.
// Takes time and memory in proportion to the pickle, at most 2^21 values. Throws Error (a sentence
// without a path) for anything damaged or unknown, with the byte it is at, counted from `origin`.
Pickle parse_pickle(std::string_view bytes, size_t origin = 0);

}  // namespace ssdq
