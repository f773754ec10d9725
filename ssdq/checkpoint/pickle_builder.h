#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "ssdq/checkpoint/pickle.h"

namespace ssdq {

// The stack machine a pickle is a program for, without its bytes: values, marks and memo. Methods
// that push return true, so that an opcode can end with them.
class PickleBuilder {
 protected:
  using Kind = PickleNode::Kind;

  // Memo indexes stay below `memo_limit`.
  explicit PickleBuilder(size_t memo_limit);

  void require(bool condition, const char* what) const;
  const PickleNode& node(PickleId id) const { return graph_[id]; }
  Pickle finish(size_t end);

  bool push(PickleId id);
  bool push_integer(Kind kind, int64_t value);
  bool push_long(std::string_view digits);  // little-endian two's complement of any length
  bool push_real(double value);
  bool push_text(Kind kind, std::string_view value);
  bool push_items(Kind kind, std::vector<PickleId> items);
  bool push_tuple(size_t size);
  bool push_global(std::string_view module, std::string_view name);
  bool push_persistent(PickleId args);
  bool call(PickleId callable, PickleId args);
  bool call_items(PickleId callable, std::vector<PickleId> items);

  // Change the value on top.
  bool append(Kind kind, const std::vector<PickleId>& added);
  bool set_items(const std::vector<PickleId>& added);
  bool set_state(PickleId state);

  PickleId top() const;
  PickleId pop();
  bool drop();  // the value on top, or an open mark
  bool open_mark();
  std::vector<PickleId> pop_to_mark();
  std::vector<PickleId> pop_pairs();

  bool remember(uint64_t index);
  bool remember_next();
  bool recall(uint64_t index);

  size_t place_ = 0;  // of the opcode, for messages

 private:
  PickleId make(Kind kind);
  size_t floor() const;
  std::vector<PickleId> pop_items(size_t from);

  Pickle graph_;
  size_t memo_limit_;
  std::vector<PickleId> stack_;
  std::vector<uint32_t> marks_;  // where in the stack
  std::vector<PickleId> memo_;
  uint64_t memo_count_ = 0;
};

}  // namespace ssdq
