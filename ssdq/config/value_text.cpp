#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "ssdq/config/value.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_letter(char c) { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }

// May the text stand without quotes anywhere in YAML, and read as text there?
bool is_plain(std::string_view text) {
  constexpr std::string_view kMarks = "_./";
  constexpr std::string_view kInnerMarks = "_./:+-";
  if (text.empty() || text == "." || text.back() == ':') return false;
  if (!is_letter(text[0]) && kMarks.find(text[0]) == std::string_view::npos) return false;
  for (const char c : text) {
    if (!is_letter(c) && !is_digit(c) && kInnerMarks.find(c) == std::string_view::npos)
      return false;
  }
  return to_lower(text) != "null" && !parse_bool(text);
}

std::string to_text(const std::string& value) { return scalar_text(value); }
std::string to_text(bool value) { return value ? "true" : "false"; }
std::string to_text(int64_t value) { return fmt::format("{}", value); }
std::string to_text(int value) { return fmt::format("{}", value); }
std::string to_text(double value) { return fmt::format("{}", value); }

std::string to_text(Size2 size) {
  return size.height == size.width ? to_text(size.height)
                                   : fmt::format("[{}, {}]", size.height, size.width);
}

std::string to_text(const WidthStage& stage) {
  return fmt::format("[{}, {}, {}]", stage.iteration, stage.wbits, stage.abits);
}

std::string to_text(const QuantizationRule& rule) { return rule_text(rule); }

template <typename Value>
std::string to_text(const std::vector<Value>& values) {
  std::vector<std::string> parts;
  for (const Value& value : values) parts.push_back(to_text(value));
  return "[" + join(parts, ", ") + "]";
}

std::string to_text(const DatasetDefinition& definition);

template <typename Value>
std::string to_text(const std::map<std::string, Value>& values) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : values)
    parts.push_back(scalar_text(name) + ": " + to_text(value));
  return "{" + join(parts, ", ") + "}";
}

std::string to_text(const DatasetDefinition& definition) {
  DatasetDefinition copy = definition;
  std::vector<std::string> parts;
  for (const Field& field : list_fields(copy).fields)
    parts.push_back(field.key + ": " + value_text(field.value));
  return "{" + join(parts, ", ") + "}";
}

// Nothing for a value that is not set.
template <typename Value>
std::string to_text(const std::optional<Value>& value) {
  return value ? to_text(*value) : "";
}

}  // namespace

std::string rule_text(const QuantizationRule& rule) {
  QuantizationRule copy = rule;
  std::vector<std::string> parts;
  for (const Field& field : list_fields(copy).fields) {
    const std::string text = value_text(field.value);
    if (!text.empty()) parts.push_back(field.key + ": " + text);
  }
  return "{" + join(parts, ", ") + "}";
}

std::string value_text(const Field& field) {
  const auto* text = std::get_if<std::string*>(&field.value);
  return text && !field.rule.choices.empty() ? **text : value_text(field.value);
}

std::string value_text(const FieldValue& value) {
  return std::visit([](const auto* member) { return to_text(*member); }, value);
}

std::string scalar_text(const std::string& text) {
  if (is_plain(text)) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (code < 0x20 || code == 0x7f) {
      quoted += fmt::format("\\x{:02x}", code);
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace ssdq
