#include "ssdq/checkpoint/pickle_views.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "ssdq/checkpoint/printable.h"

namespace ssdq {
namespace {

using Kind = PickleNode::Kind;

constexpr size_t kMaxText = 4096;

bool is_global(const Pickle& pickle, PickleId id, std::string_view module, std::string_view name) {
  return pickle[id].kind == Kind::kGlobal && pickle[id].text == name &&
         pickle[pickle[id].callable].text == module;
}

// OrderedDict([[key, value], ...]), as Python 2 wrote it.
const std::vector<PickleId>* listed_pairs(const Pickle& pickle, const PickleNode& node) {
  const auto& args = pickle[node.args].items;
  const bool ordered =
      node.kind == Kind::kObject && is_global(pickle, node.callable, "collections", "OrderedDict");
  return ordered && node.items.empty() && args.size() == 1 && pickle[args[0]].kind == Kind::kList
             ? &pickle[args[0]].items
             : nullptr;
}

void add_entry(const Pickle& pickle, PickleId key, PickleId value,
               std::vector<PickleEntry>& entries) {
  const PickleNode& node = pickle[key];
  if (node.kind == Kind::kString) {
    entries.push_back({node.text, -1, value});
  } else if (node.kind == Kind::kInt && node.integer >= 0) {
    entries.push_back({{}, node.integer, value});
  }
}

// The bytes of numpy's scalar, which pickles before protocol 3 write as text that is encoded.
std::string scalar_bytes(const Pickle& pickle, PickleId id) {
  std::string_view text = pickle[id].text;
  if (pickle[id].kind == Kind::kBytes || pickle[id].kind == Kind::kString) {
    return std::string(text.substr(0, 16));
  }
  const auto& args = pickle[pickle[id].args].items;
  std::string bytes;
  if (pickle[id].kind != Kind::kObject ||
      !is_global(pickle, pickle[id].callable, "_codecs", "encode") || args.empty()) {
    return bytes;
  }
  text = pickle[args[0]].text.substr(0, 32);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      bytes += text[i];
    } else if (i + 1 < text.size()) {
      bytes += static_cast<char>((lead & 0x03) << 6 | (text[++i] & 0x3F));
    }
  }
  return bytes;
}

template <typename T>
std::optional<std::string> format_bytes(std::string bytes, bool swap) {
  T value{};
  if (bytes.size() != sizeof value) {
    return std::nullopt;
  }
  if (swap) {
    std::reverse(bytes.begin(), bytes.end());
  }
  std::memcpy(&value, bytes.data(), sizeof value);
  return fmt::format("{}", value);
}

// numpy's scalar(dtype(code, ...), bytes); the dtype's state has its byte order.
std::optional<std::string> numpy_text(const Pickle& pickle, const PickleNode& node) {
  const auto& args = pickle[node.args].items;
  if (!(is_global(pickle, node.callable, "numpy.core.multiarray", "scalar") ||
        is_global(pickle, node.callable, "numpy._core.multiarray", "scalar")) ||
      args.size() != 2) {
    return std::nullopt;
  }
  const PickleNode& dtype = pickle[args[0]];
  const auto& codes = pickle[dtype.args].items;
  if (!is_global(pickle, dtype.callable, "numpy", "dtype") || codes.empty()) {
    return std::nullopt;
  }
  const std::string_view code = pickle[codes[0]].text;
  const auto& state = pickle[dtype.state].items;
  const bool swap = state.size() > 1 && pickle[state[1]].text == ">";
  const std::string bytes = scalar_bytes(pickle, args[1]);
  return code == "f8"   ? format_bytes<double>(bytes, swap)
         : code == "f4" ? format_bytes<float>(bytes, swap)
         : code == "i8" ? format_bytes<int64_t>(bytes, swap)
         : code == "i4" ? format_bytes<int32_t>(bytes, swap)
         : code == "i2" ? format_bytes<int16_t>(bytes, swap)
         : code == "i1" ? format_bytes<int8_t>(bytes, swap)
         : code == "u8" ? format_bytes<uint64_t>(bytes, swap)
         : code == "u4" ? format_bytes<uint32_t>(bytes, swap)
         : code == "u2" ? format_bytes<uint16_t>(bytes, swap)
         : code == "u1" ? format_bytes<uint8_t>(bytes, swap)
         : code == "b1" && bytes.size() == 1
             ? std::optional<std::string>(bytes[0] != '\0' ? "true" : "false")
             : std::nullopt;
}

}  // namespace

bool is_mapping(const Pickle& pickle, PickleId id) {
  const PickleNode& node = pickle[id];
  return node.kind == Kind::kDict ||
         (node.kind == Kind::kObject &&
          (node.pairs || is_global(pickle, node.callable, "collections", "OrderedDict")));
}

std::vector<PickleEntry> mapping_entries(const Pickle& pickle, PickleId id, size_t most) {
  std::vector<PickleEntry> entries;
  const PickleNode& node = pickle[id];
  if (const auto* pairs = listed_pairs(pickle, node)) {
    for (size_t i = 0; i < std::min(pairs->size(), most); ++i) {
      const auto& pair = pickle[(*pairs)[i]].items;
      if (pair.size() == 2) {
        add_entry(pickle, pair[0], pair[1], entries);
      }
    }
  } else if (is_mapping(pickle, id)) {
    for (size_t i = 0; i < std::min(node.items.size() / 2, most); ++i) {
      add_entry(pickle, node.items[2 * i], node.items[2 * i + 1], entries);
    }
  }
  return entries;
}

std::vector<PickleEntry> sequence_entries(const Pickle& pickle, PickleId id) {
  std::vector<PickleEntry> entries;
  const PickleNode& node = pickle[id];
  if (node.kind == Kind::kTuple || node.kind == Kind::kList ||
      (node.kind == Kind::kObject && !node.pairs)) {
    for (const PickleId item : node.items) {
      entries.push_back({{}, static_cast<int64_t>(entries.size()), item});
    }
  }
  return entries;
}

std::optional<std::string> plain_text(const Pickle& pickle, PickleId id) {
  const PickleNode& node = pickle[id];
  switch (node.kind) {
    case Kind::kBool:
      return node.integer != 0 ? "true" : "false";
    case Kind::kInt:
      return std::to_string(node.integer);
    case Kind::kFloat:
      return fmt::format("{}", node.real);
    case Kind::kString:
      return node.text.size() <= kMaxText && is_utf8(node.text)
                 ? std::optional<std::string>(node.text)
                 : std::nullopt;
    case Kind::kObject:
      return numpy_text(pickle, node);
    default:
      return std::nullopt;
  }
}

}  // namespace ssdq
