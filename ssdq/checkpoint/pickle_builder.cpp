#include "ssdq/checkpoint/pickle_builder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr size_t kMaxNodes = size_t{1} << 21;
constexpr PickleId kUnset = ~PickleId{0};

}  // namespace

PickleBuilder::PickleBuilder(size_t memo_limit) : memo_limit_(std::min(memo_limit, 2 * kMaxNodes)) {
  graph_.nodes.emplace_back();
}

void PickleBuilder::require(bool condition, const char* what) const {
  if (!condition) {
    fail("damaged file: its pickle {} at byte {}", what, place_);
  }
}

Pickle PickleBuilder::finish(size_t end) {
  graph_.root = pop();
  graph_.end = end;
  return std::move(graph_);
}

PickleId PickleBuilder::make(Kind kind) {
  require(graph_.nodes.size() < kMaxNodes, "has more values than a checkpoint could need");
  graph_.nodes.emplace_back().kind = kind;
  return static_cast<PickleId>(graph_.nodes.size() - 1);
}

bool PickleBuilder::push(PickleId id) {
  stack_.push_back(id);
  return true;
}

bool PickleBuilder::push_integer(Kind kind, int64_t value) {
  const PickleId id = make(kind);
  graph_.nodes[id].integer = value;
  return push(id);
}

bool PickleBuilder::push_text(Kind kind, std::string_view value) {
  const PickleId id = make(kind);
  graph_.nodes[id].text = value;
  return push(id);
}

bool PickleBuilder::push_real(double value) {
  const PickleId id = make(Kind::kFloat);
  graph_.nodes[id].real = value;
  return push(id);
}

size_t PickleBuilder::floor() const { return marks_.empty() ? 0 : marks_.back(); }

PickleId PickleBuilder::top() const {
  require(stack_.size() > floor(), "takes a value where none is");
  return stack_.back();
}

PickleId PickleBuilder::pop() {
  const PickleId id = top();
  stack_.pop_back();
  return id;
}

bool PickleBuilder::drop() {
  if (stack_.size() == floor() && !marks_.empty()) {
    marks_.pop_back();
  } else {
    pop();
  }
  return true;
}

bool PickleBuilder::open_mark() {
  marks_.push_back(static_cast<uint32_t>(stack_.size()));
  return true;
}

std::vector<PickleId> PickleBuilder::pop_items(size_t from) {
  std::vector<PickleId> items(stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
  stack_.resize(from);
  return items;
}

std::vector<PickleId> PickleBuilder::pop_to_mark() {
  require(!marks_.empty(), "closes a list that was not begun");
  const size_t from = marks_.back();
  marks_.pop_back();
  return pop_items(from);
}

bool PickleBuilder::push_items(Kind kind, std::vector<PickleId> items) {
  const PickleId id = make(kind);
  graph_.nodes[id].items = std::move(items);
  return push(id);
}

bool PickleBuilder::push_tuple(size_t size) {
  require(stack_.size() - floor() >= size, "takes a value where none is");
  return push_items(Kind::kTuple, pop_items(stack_.size() - size));
}

bool PickleBuilder::push_long(std::string_view digits) {
  if (digits.size() > sizeof(int64_t)) {
    return push_text(Kind::kBigInt, digits);
  }
  const bool negative = !digits.empty() && (digits.back() & 0x80) != 0;
  uint64_t value = negative ? ~uint64_t{0} : 0;
  std::memcpy(&value, digits.data(), digits.size());
  return push_integer(Kind::kInt, static_cast<int64_t>(value));
}

std::vector<PickleId> PickleBuilder::pop_pairs() {
  auto items = pop_to_mark();
  require(items.size() % 2 == 0, "has a key without a value");
  return items;
}

bool PickleBuilder::append(Kind kind, const std::vector<PickleId>& added) {
  PickleNode& target = graph_.nodes[top()];
  const bool fits = target.kind == kind || (target.kind == Kind::kObject && !target.pairs);
  require(fits, "adds items to a value that has none");
  target.items.insert(target.items.end(), added.begin(), added.end());
  return true;
}

bool PickleBuilder::set_items(const std::vector<PickleId>& added) {
  PickleNode& target = graph_.nodes[top()];
  const bool fits = target.kind == Kind::kDict ||
                    (target.kind == Kind::kObject && (target.pairs || target.items.empty()));
  require(fits, "sets keys of a value that has none");
  target.pairs = true;
  target.items.insert(target.items.end(), added.begin(), added.end());
  return true;
}

bool PickleBuilder::push_global(std::string_view module, std::string_view name) {
  push_text(Kind::kString, module);
  const PickleId module_id = pop();
  push_text(Kind::kGlobal, name);
  graph_.nodes[top()].callable = module_id;
  return true;
}

bool PickleBuilder::call(PickleId callable, PickleId args) {
  const PickleId id = make(Kind::kObject);
  graph_.nodes[id].callable = callable;
  graph_.nodes[id].args = args;
  return push(id);
}

bool PickleBuilder::call_items(PickleId callable, std::vector<PickleId> items) {
  push_items(Kind::kTuple, std::move(items));
  return call(callable, pop());
}

bool PickleBuilder::push_persistent(PickleId args) {
  const PickleId id = make(Kind::kPersistent);
  graph_.nodes[id].args = args;
  return push(id);
}

bool PickleBuilder::set_state(PickleId state) {
  PickleNode& target = graph_.nodes[top()];
  require(target.kind == Kind::kObject, "sets the state of a value that has none");
  target.state = state;
  return true;
}

bool PickleBuilder::remember_next() { return remember(memo_count_); }

bool PickleBuilder::remember(uint64_t index) {
  require(index < memo_limit_, "has a memo index that is too large");
  if (index >= memo_.size()) {
    memo_.resize(index + 1, kUnset);
  }
  memo_[index] = top();
  memo_count_ += 1;
  return true;
}

bool PickleBuilder::recall(uint64_t index) {
  require(index < memo_.size() && memo_[index] != kUnset, "refers to a value it does not have");
  return push(memo_[index]);
}

}  // namespace ssdq
