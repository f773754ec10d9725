#include "ssdq/checkpoint/pickle.h"

#include <charconv>
#include <cstring>
#include <string>
#include <utility>

#include "ssdq/checkpoint/pickle_builder.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr size_t kMaxBytes = size_t{32} << 20;  // without the tensors, which lie elsewhere

class Parser : private PickleBuilder {
 public:
  // Picklers number what they remember from 0 on, and each number takes a byte at least.
  Parser(std::string_view bytes, size_t origin)
      : PickleBuilder(bytes.size()), bytes_(bytes), origin_(origin) {}

  Pickle run() {
    for (;;) {
      place_ = origin_ + at_;
      require(at_ < kMaxBytes, "is larger than a checkpoint could need");
      const auto opcode = take<uint8_t>();
      if (opcode == '.') {
        return finish(at_);
      }
      if (!number(opcode) && !text_number(opcode) && !text(opcode) && !container(opcode) &&
          !fill(opcode) && !object(opcode) && !stack(opcode) && !memo(opcode) && !frame(opcode)) {
        fail("damaged file: its pickle has the unknown opcode 0x{:02x} at byte {}", opcode, place_);
      }
    }
  }

 private:
  std::string_view take_bytes(uint64_t size) {
    require(size <= bytes_.size() - at_, "is cut off in the value");
    const auto taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  template <typename T>
  T take() {
    T value;
    std::memcpy(&value, take_bytes(sizeof(T)).data(), sizeof value);
    return value;
  }

  std::string_view take_line() {
    const size_t end = bytes_.find('\n', at_);
    require(end != std::string_view::npos, "is cut off in the line");
    const auto line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  template <typename T>
  T parse(std::string_view digits) {
    T value{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    require(error == std::errc() && end == digits.data() + digits.size(), "has a bad number");
    return value;
  }

  bool number(uint8_t opcode) {
    switch (opcode) {
      case 'N':
        return push(0);
      case 0x88:
        return push_integer(Kind::kBool, 1);
      case 0x89:
        return push_integer(Kind::kBool, 0);
      case 'J':
        return push_integer(Kind::kInt, take<int32_t>());
      case 'K':
        return push_integer(Kind::kInt, take<uint8_t>());
      case 'M':
        return push_integer(Kind::kInt, take<uint16_t>());
      case 0x8A:
        return push_long(take_bytes(take<uint8_t>()));
      case 0x8B:
        return push_long(take_bytes(take<uint32_t>()));
      case 'G': {
        const uint64_t bits = __builtin_bswap64(take<uint64_t>());
        double value = 0;
        std::memcpy(&value, &bits, sizeof value);
        return push_real(value);
      }
      default:
        return false;
    }
  }

  // Protocol 0 writes numbers as lines; its booleans are the integers 00 and 01.
  bool text_number(uint8_t opcode) {
    if (opcode != 'I' && opcode != 'L' && opcode != 'F') {
      return false;
    }
    std::string_view line = take_line();
    if (opcode == 'F') {
      return push_real(parse<double>(line));
    }
    if (opcode == 'I' && (line == "00" || line == "01")) {
      return push_integer(Kind::kBool, line == "01" ? 1 : 0);
    }
    if (opcode == 'L' && !line.empty() && line.back() == 'L') {
      line.remove_suffix(1);
    }
    return push_integer(Kind::kInt, parse<int64_t>(line));
  }

  bool text(uint8_t opcode) {
    switch (opcode) {
      case 'X':
        return push_text(Kind::kString, take_bytes(take<uint32_t>()));
      case 0x8C:
        return push_text(Kind::kString, take_bytes(take<uint8_t>()));
      case 0x8D:
        return push_text(Kind::kString, take_bytes(take<uint64_t>()));
      case 'U':
        return push_text(Kind::kString, take_bytes(take<uint8_t>()));
      case 'T':
        return push_text(Kind::kString, take_bytes(take<uint32_t>()));
      case 'C':
        return push_text(Kind::kBytes, take_bytes(take<uint8_t>()));
      case 'B':
        return push_text(Kind::kBytes, take_bytes(take<uint32_t>()));
      case 0x8E:
      case 0x96:
        return push_text(Kind::kBytes, take_bytes(take<uint64_t>()));
      case 'V': {
        const std::string_view line = take_line();
        require(line.find('\\') == line.npos, "has text with escapes");
        return push_text(Kind::kString, line);
      }
      case 'S': {
        const std::string_view line = take_line();
        require(line.size() >= 2 && line.front() == line.back() && line.find('\\') == line.npos,
                "has text with escapes");
        return push_text(Kind::kString, line.substr(1, line.size() - 2));
      }
      default:
        return false;
    }
  }

  bool container(uint8_t opcode) {
    switch (opcode) {
      case ')':
        return push_items(Kind::kTuple, {});
      case ']':
        return push_items(Kind::kList, {});
      case '}':
        return push_items(Kind::kDict, {});
      case 0x8F:
        return push_items(Kind::kSet, {});
      case 0x85:
        return push_tuple(1);
      case 0x86:
        return push_tuple(2);
      case 0x87:
        return push_tuple(3);
      case 't':
        return push_items(Kind::kTuple, pop_to_mark());
      case 'l':
        return push_items(Kind::kList, pop_to_mark());
      case 0x91:
        return push_items(Kind::kSet, pop_to_mark());
      case 'd':
        return push_items(Kind::kDict, pop_pairs());
      default:
        return false;
    }
  }

  bool fill(uint8_t opcode) {
    switch (opcode) {
      case 'a':
        return append(Kind::kList, {pop()});
      case 'e':
        return append(Kind::kList, pop_to_mark());
      case 0x90:
        return append(Kind::kSet, pop_to_mark());
      case 'u':
        return set_items(pop_pairs());
      case 's': {
        const PickleId value = pop();
        const PickleId key = pop();
        return set_items({key, value});
      }
      default:
        return false;
    }
  }

  bool object(uint8_t opcode) {
    switch (opcode) {
      case 'c':
      case 'i': {
        const std::string_view module = take_line();
        push_global(module, take_line());
        if (opcode == 'c') {
          return true;
        }
        const PickleId callable = pop();
        return call_items(callable, pop_to_mark());
      }
      case 0x93: {
        const PickleId name = pop();
        const PickleId module = pop();
        require(node(name).kind == Kind::kString && node(module).kind == Kind::kString,
                "has a class whose name is no text");
        return push_global(node(module).text, node(name).text);
      }
      case 'o': {
        auto items = pop_to_mark();
        require(!items.empty(), "makes an object of nothing");
        const PickleId callable = items.front();
        items.erase(items.begin());
        return call_items(callable, std::move(items));
      }
      case 'R':
      case 0x81:
      case 0x92: {
        if (opcode == 0x92) {
          pop();
        }
        const PickleId args = pop();
        return call(pop(), args);
      }
      case 'b':
        return set_state(pop());
      case 'Q':
        return push_persistent(pop());
      default:
        return false;
    }
  }

  bool stack(uint8_t opcode) {
    switch (opcode) {
      case '(':
        return open_mark();
      case '1':
        pop_to_mark();
        return true;
      case '0':
        return drop();
      case '2':
        return push(top());
      default:
        return false;
    }
  }

  bool memo(uint8_t opcode) {
    switch (opcode) {
      case 'q':
        return remember(take<uint8_t>());
      case 'r':
        return remember(take<uint32_t>());
      case 'p':
        return remember(parse<uint64_t>(take_line()));
      case 0x94:
        return remember_next();
      case 'h':
        return recall(take<uint8_t>());
      case 'j':
        return recall(take<uint32_t>());
      case 'g':
        return recall(parse<uint64_t>(take_line()));
      default:
        return false;
    }
  }

  bool frame(uint8_t opcode) {
    if (opcode == 0x80) {
      require(take<uint8_t>() <= 5, "is of a protocol later than 5");
      return true;
    }
    if (opcode == 0x95) {
      require(take<uint64_t>() <= bytes_.size() - at_, "has a frame that is cut off");
      return true;
    }
    return false;
  }

  std::string_view bytes_;
  size_t origin_;
  size_t at_ = 0;
};

}  // namespace

Pickle parse_pickle(std::string_view bytes, size_t origin) { return Parser(bytes, origin).run(); }

}  // namespace ssdq
