#include "ssdq/config/value.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

std::string expected(const std::string&) { return "text"; }
std::string expected(int64_t) { return "an integer"; }
std::string expected(int) { return "an integer"; }
std::string expected(double) { return "a number"; }
std::string expected(Size2) { return "a number or [height, width]"; }
std::string expected(const std::vector<double>&) { return "a number or a list of numbers"; }
std::string expected(const WidthStage&) { return "[iteration, wbits, abits]"; }

// from_chars without the sign '+' that it does not know.
template <typename Number>
std::from_chars_result parse_number(std::string_view text, Number& number) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec == std::errc() && result.ptr != text.data() + text.size())
    result.ec = std::errc::invalid_argument;
  return result;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool has_leading_zero(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Reads one field: from text to the member's type, every mistake with the element's own place.
class ValueReader {
 public:
  ValueReader(const Rule& rule, Problems& problems) : rule_(rule), problems_(problems) {}

  bool read(const YamlNode& node, const std::string& key, std::string& value) {
    if (node.kind == YamlNode::Kind::kNull) {
      value = rule_.style == TextStyle::kTypeName ? "none" : "";
      return rule_.choices.empty() ||
             refuse(node, key, "expected one of " + join(rule_.choices, ", "));
    }
    if (node.kind != YamlNode::Kind::kScalar) return refuse(node, key, "expected text");
    value = styled(node.text);
    return rule_.style == TextStyle::kDevice ? check_device(node, key, value)
                                             : check_choice(node, key, value);
  }

  bool read(const YamlNode& node, const std::string& key, bool& value) {
    const auto parsed = node.kind == YamlNode::Kind::kScalar ? parse_bool(node.text) : std::nullopt;
    if (!parsed) return refuse(node, key, "expected true or false");
    value = *parsed;
    return true;
  }

  template <typename Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
  bool read(const YamlNode& node, const std::string& key, Integer& value) {
    if (node.kind != YamlNode::Kind::kScalar) return refuse(node, key, "expected an integer");
    const std::string_view text = trim(node.text);
    if (has_leading_zero(text)) {
      return refuse(node, key, "expected an integer without leading zeros");
    }
    const auto result = parse_number(text, value);
    if (result.ec == std::errc::result_out_of_range)
      return refuse(node, key, "the integer is too large");
    if (result.ec != std::errc()) return refuse_fraction(node, key, text);
    return check_bounds(node, key, static_cast<double>(value));
  }

  bool read(const YamlNode& node, const std::string& key, double& value) {
    if (node.kind != YamlNode::Kind::kScalar) return refuse(node, key, "expected a number");
    const auto result = parse_number(trim(node.text), value);
    if (result.ec == std::errc::result_out_of_range)
      return refuse(node, key, "the number is too large or too small");
    if (result.ec != std::errc()) return refuse(node, key, "expected a number");
    if (!std::isfinite(value)) return refuse(node, key, "expected a finite number");
    return check_bounds(node, key, value);
  }

  bool read(const YamlNode& node, const std::string& key, Size2& size) {
    YamlNode list = node;
    if (!expand_tuple(list)) {
      if (node.kind != YamlNode::Kind::kScalar)
        return refuse(node, key, "expected " + expected(size));
      if (!read(node, key, size.height)) return false;
      size.width = size.height;
      return true;
    }
    if (list.values.size() != 2) return refuse(node, key, "expected " + expected(size));
    return read(list.values[0], key + "[0]", size.height) &&
           read(list.values[1], key + "[1]", size.width);
  }

  bool read(const YamlNode& node, const std::string& key, WidthStage& stage) {
    YamlNode list = node;
    if (!expand_tuple(list) || list.values.size() != 3) {
      return refuse(node, key, "expected " + expected(stage));
    }
    static const Rule iteration = at_least(0);
    static const Rule width = between(1, 32);
    bool good =
        ValueReader(iteration, problems_).read(list.values[0], key + "[0]", stage.iteration);
    ValueReader widths(width, problems_);
    good &= widths.read(list.values[1], key + "[1]", stage.wbits);
    good &= widths.read(list.values[2], key + "[2]", stage.abits);
    return good;
  }

  template <typename Value>
  bool read(const YamlNode& node, const std::string& key, std::optional<Value>& value) {
    Value given{};
    if (!read(node, key, given)) return false;
    value = std::move(given);
    return true;
  }

  template <typename Value>
  bool read(const YamlNode& node, const std::string& key, std::vector<Value>& values) {
    YamlNode list = node;
    if (!expand_tuple(list)) return refuse_list(node, key, values);
    std::vector<Value> read_values(list.values.size());
    bool good = true;
    for (size_t i = 0; i < read_values.size(); ++i) {
      good &= read_element(list.values[i], fmt::format("{}[{}]", key, i), read_values[i]);
    }
    if (good) values = std::move(read_values);
    return good;
  }

  template <typename Value>
  bool read(const YamlNode& node, const std::string& key, std::map<std::string, Value>& values) {
    if (node.kind == YamlNode::Kind::kNull) return true;
    if (node.kind != YamlNode::Kind::kMap)
      return refuse(node, key, "expected a map, {name: value, ...}");
    std::map<std::string, Value> entries;
    bool good = true;
    for (size_t i = 0; i < node.keys.size(); ++i) {
      const std::string name = key + "." + node.keys[i].text;
      Value value{};
      const bool read_entry = read_option(node.values[i], name, value);
      good &= read_entry;
      if (entries.count(node.keys[i].text) > 0) {
        problems_.add(node.keys[i].place, name + " is set twice in this file");
        good = false;
      }
      entries[node.keys[i].text] = std::move(value);
    }
    for (auto& entry : entries) values[entry.first] = std::move(entry.second);
    return good;
  }

 private:
  bool read_element(const YamlNode& node, const std::string& key, std::vector<double>& value) {
    YamlNode list = node;
    if (expand_tuple(list)) return read(list, key, value);
    value.resize(1);
    return read(node, key, value[0]);
  }

  template <typename Value>
  bool read_element(const YamlNode& node, const std::string& key, Value& value) {
    return read(node, key, value);
  }

  bool read_option(const YamlNode& node, const std::string& key, double& value) {
    return read(node, key, value);
  }

  bool read_option(const YamlNode& node, const std::string&, std::string& value) {
    value = flow_text(node);
    return true;
  }

  std::string styled(const std::string& text) const {
    std::string lower = to_lower(trim(text));
    switch (rule_.style) {
      case TextStyle::kTypeName:
        return lower.empty() || parse_bool(lower) == false ? "none" : lower;
      case TextStyle::kName:
      case TextStyle::kDevice:
        return lower;
      case TextStyle::kPath:
        return text == "." ? "" : text;
      case TextStyle::kPlain:
        break;
    }
    if (rule_.choices.empty()) return text;
    const auto state = parse_bool(lower);
    if (!state) return lower;
    const std::string as_switch = *state ? "on" : "off";
    const std::string as_bool = *state ? "true" : "false";
    return accepts_choice(as_switch) ? as_switch : accepts_choice(as_bool) ? as_bool : lower;
  }

  bool accepts_choice(const std::string& text) const {
    for (const std::string& choice : rule_.choices) {
      if (choice == text) return true;
    }
    return rule_.choices.empty();
  }

  bool check_choice(const YamlNode& node, const std::string& key, const std::string& value) {
    if (accepts_choice(value)) return true;
    std::string what = fmt::format("{} must be {}, got '{}'", key, describe(rule_), node.text);
    if (const auto nearest = nearest_name(value, rule_.choices))
      what += fmt::format("; did you mean '{}'?", *nearest);
    problems_.add(node.place, what);
    return false;
  }

  bool check_device(const YamlNode& node, const std::string& key, const std::string& value) {
    if (value == "auto" || value == "cpu" || value == "cuda") return true;
    int index = -1;
    const bool is_indexed = starts_with(value, "cuda:") && is_digit(value.back());
    if (is_indexed && parse_number(std::string_view(value).substr(5), index).ec == std::errc() &&
        index >= 0)
      return true;
    problems_.add(node.place,
                  fmt::format("{} must be {}, got '{}'", key, describe(rule_), node.text));
    return false;
  }

  bool check_bounds(const YamlNode& node, const std::string& key, double value) {
    if (accepts(rule_, value)) return true;
    const bool is_range = rule_.most && !rule_.most_excluded && *rule_.most > *rule_.least;
    problems_.add(node.place, fmt::format("{} must be {}{}, got {}", key, is_range ? "in " : "",
                                          describe(rule_), trim(node.text)));
    return false;
  }

  // 4.0 is a number, but whoever wrote it may expect fractions to count.
  bool refuse_fraction(const YamlNode& node, const std::string& key, std::string_view text) {
    double number = 0;
    constexpr double kExact = 9007199254740992.0;
    if (parse_number(text, number).ec == std::errc() && std::isfinite(number) &&
        std::abs(number) < kExact && number == std::floor(number)) {
      return refuse(node, key, fmt::format("expected an integer, {:.0f}", number));
    }
    return refuse(node, key, "expected an integer");
  }

  template <typename Value>
  bool refuse_list(const YamlNode& node, const std::string& key, const std::vector<Value>&) {
    std::string hint;
    if (node.kind == YamlNode::Kind::kScalar) hint = fmt::format("; write [{}]", node.text);
    problems_.add(node.place, fmt::format("{}: expected a list, each {}, got {}{}", key,
                                          expected(Value{}), found(node), hint));
    return false;
  }

  bool refuse(const YamlNode& node, const std::string& key, const std::string& what) {
    problems_.add(node.place, fmt::format("{}: {}, got {}", key, what, found(node)));
    return false;
  }

  static std::string found(const YamlNode& node) {
    switch (node.kind) {
      case YamlNode::Kind::kNull:
        return "nothing";
      case YamlNode::Kind::kScalar:
        return "'" + node.text + "'";
      case YamlNode::Kind::kList:
        return "the list " + flow_text(node);
      case YamlNode::Kind::kMap:
        break;
    }
    return "the map " + flow_text(node);
  }

  const Rule& rule_;
  Problems& problems_;
};

}  // namespace

std::optional<bool> parse_bool(std::string_view text) {
  const std::string lower = to_lower(trim(text));
  if (lower == "true" || lower == "yes" || lower == "on") return true;
  if (lower == "false" || lower == "no" || lower == "off") return false;
  return std::nullopt;
}

void read_value(const YamlNode& node, const std::string& key, const Field& field,
                Problems& problems) {
  ValueReader reader(field.rule, problems);
  std::visit(
      [&](auto* member) {
        using Member = std::remove_pointer_t<decltype(member)>;
        constexpr bool kHasFields =
            std::is_same_v<Member, std::map<std::string, DatasetDefinition>> ||
            std::is_same_v<Member, std::vector<QuantizationRule>>;
        if constexpr (!kHasFields) {
          Member value = *member;
          if (reader.read(node, key, value)) *member = std::move(value);
        }
      },
      field.value);
}

}  // namespace ssdq
