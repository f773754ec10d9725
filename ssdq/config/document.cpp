#include "ssdq/config/document.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <yaml-cpp/yaml.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 200000;

// Copies a tree of yaml-cpp. Aliases can make such a tree endless or exponential: both are refused.
class Converter {
 public:
  explicit Converter(const Place& origin) : origin_(origin) {}

  YamlNode convert(const YAML::Node& yaml, int depth = 0) {
    YamlNode node;
    node.place = place_of(yaml.Mark());
    if (depth > kMaxDepth || ++count_ > kMaxNodes) {
      throw YAML::ParserException(yaml.Mark(),
                                  "the document is nested too deeply or repeats itself");
    }
    if (yaml.IsScalar()) {
      node.kind = YamlNode::Kind::kScalar;
      node.text = yaml.Scalar();
    } else if (yaml.IsSequence()) {
      node.kind = YamlNode::Kind::kList;
      for (const auto& item : yaml) node.values.push_back(convert(item, depth + 1));
    } else if (yaml.IsMap()) {
      node.kind = YamlNode::Kind::kMap;
      for (const auto& item : yaml) {
        node.keys.push_back(convert(item.first, depth + 1));
        node.values.push_back(convert(item.second, depth + 1));
      }
    }
    return node;
  }

  Place place_of(const YAML::Mark& mark) const {
    Place place = origin_;
    if (place.line > 0 && !mark.is_null()) {
      place.line = mark.line + 1;
      place.column = mark.column + 1;
    }
    return place;
  }

 private:
  Place origin_;
  int count_ = 0;
};

// The part of Python's literals that yacs files use: tuples, lists, strings, bare words.
class TupleParser {
 public:
  TupleParser(const std::string& text, Place place) : text_(text), place_(std::move(place)) {}

  bool parse(YamlNode& node) {
    node = value(0);
    skip_blanks();
    return !failed_ && position_ == text_.size();
  }

 private:
  YamlNode value(int depth) {
    skip_blanks();
    const char c = peek();
    if (depth > kMaxDepth) failed_ = true;
    if (c == '(' || c == '[') return list(depth);
    return c == '"' || c == '\'' ? quoted() : word();
  }

  YamlNode list(int depth) {
    YamlNode node;
    node.kind = YamlNode::Kind::kList;
    node.place = place_;
    const char close = text_[position_++] == '(' ? ')' : ']';
    skip_blanks();
    while (!failed_ && peek() != close) {
      node.values.push_back(value(depth + 1));
      skip_blanks();
      if (peek() == ',') {
        ++position_;
        skip_blanks();
      } else if (peek() != close) {
        failed_ = true;
      }
    }
    ++position_;
    return node;
  }

  YamlNode quoted() {
    const char quote = text_[position_++];
    const size_t end = text_.find(quote, position_);
    if (end == std::string::npos) {
      failed_ = true;
      return {};
    }
    YamlNode node = scalar(text_.substr(position_, end - position_));
    position_ = end + 1;
    return node;
  }

  YamlNode word() {
    const size_t end = std::min(text_.find_first_of(",()[]'\"", position_), text_.size());
    YamlNode node =
        scalar(std::string(trim(std::string_view(text_).substr(position_, end - position_))));
    if (node.text.empty()) failed_ = true;
    position_ = end;
    return node;
  }

  YamlNode scalar(std::string text) const {
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.text = std::move(text);
    node.place = place_;
    return node;
  }

  void skip_blanks() {
    while (position_ < text_.size() && trim(text_.substr(position_, 1)).empty()) ++position_;
  }

  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  const std::string& text_;
  Place place_;
  size_t position_ = 0;
  bool failed_ = false;
};

}  // namespace

std::string Place::text() const {
  return line > 0 ? fmt::format("{}:{}:{}", source, line, column) : source;
}

void Problems::add(const Place& place, const std::string& what) {
  problems_.push_back({place, what});
}

void Problems::throw_if_any() const {
  if (problems_.empty()) return;
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.place.order, a.place.line, a.place.column) <
           std::tie(b.place.order, b.place.line, b.place.column);
  });
  std::vector<std::string> lines;
  for (const Problem& problem : sorted) {
    lines.push_back(fmt::format("{}: {}", problem.place.text(), problem.what));
  }
  throw ConfigError(join(lines, "\n"));
}

YamlNode parse_document(const std::string& yaml, int order, const std::string& source,
                        Problems& problems) {
  const Place start{order, source, 1, 1};
  Converter converter(start);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(yaml);
    if (documents.size() > 1) {
      problems.add(converter.place_of(documents[1].Mark()), "a second YAML document; expected one");
    }
    if (!documents.empty()) return converter.convert(documents[0]);
  } catch (const YAML::Exception& e) {
    problems.add(converter.place_of(e.mark), "not valid YAML: " + e.msg);
  }
  YamlNode empty;
  empty.place = start;
  return empty;
}

YamlNode parse_value(const std::string& text, const Place& place) {
  try {
    return Converter(place).convert(YAML::Load(text));
  } catch (const YAML::Exception&) {
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.text = text;
    node.place = place;
    return node;
  }
}

bool expand_tuple(YamlNode& node) {
  if (node.kind == YamlNode::Kind::kList) return true;
  if (node.kind != YamlNode::Kind::kScalar) return false;
  const std::string text(trim(node.text));
  if (text.empty() || (text[0] != '(' && text[0] != '[')) return false;
  YamlNode list;
  if (!TupleParser(text, node.place).parse(list)) return false;
  node = std::move(list);
  return true;
}

std::string flow_text(const YamlNode& node) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < node.values.size(); ++i) {
    const std::string key = node.kind == YamlNode::Kind::kMap ? flow_text(node.keys[i]) + ": " : "";
    parts.push_back(key + flow_text(node.values[i]));
  }
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kScalar:
      return node.text;
    case YamlNode::Kind::kList:
      return "[" + join(parts, ", ") + "]";
    case YamlNode::Kind::kMap:
      break;
  }
  return "{" + join(parts, ", ") + "}";
}

}  // namespace ssdq
