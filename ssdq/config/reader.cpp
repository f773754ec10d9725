#include "ssdq/config/reader.h"

#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "ssdq/config/document.h"
#include "ssdq/config/schema.h"
#include "ssdq/config/value.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr const char* kBase = "_BASE_";
constexpr const char* kCommandLine = "command line";

using Definitions = std::map<std::string, DatasetDefinition>;
using Rules = std::vector<QuantizationRule>;

class Reader {
 public:
  explicit Reader(const std::string& file) : schema_(list_fields(loaded_.config)) {
    loaded_.file = file;
    for (const Field& field : schema_.fields()) loaded_.origins[field.key] = "default";
  }

  void read_file(const std::string& path, const Place& from) {
    const std::string identity = std::filesystem::weakly_canonical(path).string();
    for (const auto& open : chain_) {
      if (open.second == identity) return report_cycle(path, from);
    }
    std::string yaml;
    try {
      yaml = ssdq::read_file(path);
    } catch (const Error& e) {
      const std::string what =
          e.what();  // begins with the path, as does the place of a file that no other names
      problems_.add(
          from, from.line > 0 ? std::string(kBase) + ": " + what : what.substr(path.size() + 2));
      return;
    }
    chain_.emplace_back(path, identity);
    const YamlNode document = parse_document(yaml, sources_++, path, problems_);
    read_bases(document, path);
    read_document(document);
    chain_.pop_back();
  }

  void read_text(const std::string& yaml, const std::string& name) {
    const YamlNode document = parse_document(yaml, sources_++, name, problems_);
    for (const YamlNode& key : document.keys) {
      if (key.text == kBase)
        problems_.add(key.place, "_BASE_ needs a file to be relative to; this text has none");
    }
    read_document(document);
  }

  void read_overrides(const std::vector<std::string>& overrides) {
    const Place place{sources_++, kCommandLine};
    for (size_t i = 0; i < overrides.size(); i += 2) {
      if (i + 1 == overrides.size()) {
        problems_.add(place,
                      fmt::format("{} has no value; overrides are pairs, KEY VALUE", overrides[i]));
      } else {
        read_override(overrides[i], overrides[i + 1], place);
      }
    }
  }

  LoadedConfig take() {
    problems_.throw_if_any();
    return std::move(loaded_);
  }

 private:
  void report_cycle(const std::string& path, const Place& from) {
    std::string text;
    for (const auto& open : chain_) text += open.first + " -> ";
    problems_.add(from, fmt::format("_BASE_ goes in a circle: {}{}", text, path));
  }

  void read_bases(const YamlNode& document, const std::string& path) {
    for (size_t i = 0; i < document.keys.size(); ++i) {
      if (document.keys[i].text != kBase) continue;
      YamlNode bases = document.values[i];
      if (!expand_tuple(bases)) {
        YamlNode list;
        list.values.push_back(bases);
        bases = std::move(list);
      }
      for (const YamlNode& base : bases.values) {
        if (base.kind != YamlNode::Kind::kScalar || base.text.empty()) {
          problems_.add(document.keys[i].place,
                        "_BASE_: expected a file or a list of files, got " + flow_text(base));
          continue;
        }
        read_file((std::filesystem::path(path).parent_path() / base.text).string(), base.place);
      }
    }
  }

  void read_document(const YamlNode& document) {
    if (document.kind == YamlNode::Kind::kMap) {
      read_section(document, schema_, "", "");
    } else if (document.kind != YamlNode::Kind::kNull) {
      problems_.add(document.place,
                    "expected sections, such as MODEL: {...}, got " + flow_text(document));
    }
  }

  // `section` is a key of `schema`; `prefix` stands before it in messages and origins.
  void read_section(const YamlNode& map, const Schema& schema, const std::string& section,
                    const std::string& prefix) {
    std::map<std::string, Place> seen;
    for (size_t i = 0; i < map.keys.size(); ++i) {
      const YamlNode& name = map.keys[i];
      const std::string key = join_key(section, name.text);
      if (name.kind != YamlNode::Kind::kScalar) {
        problems_.add(name.place, "expected a key, got " + flow_text(name));
      } else if (!seen.emplace(name.text, name.place).second) {
        problems_.add(name.place, fmt::format("{} is set twice in this file, first in line {}",
                                              prefix + key, seen[name.text].line));
      } else if (prefix.empty() && key == kBase) {
        continue;
      } else {
        read_entry(name, map.values[i], schema, section, prefix);
      }
    }
  }

  void read_entry(const YamlNode& name, const YamlNode& value, const Schema& schema,
                  const std::string& section, const std::string& prefix) {
    const std::string key = join_key(section, name.text);
    if (const Field* field = schema.find(key)) {
      read_field(value, *field, prefix + key);
    } else if (!schema.is_section(key) || name.text.empty()) {
      problems_.add(name.place,
                    fmt::format("unknown key {}{}", prefix + key, schema.hint(section, name.text)));
    } else if (value.kind == YamlNode::Kind::kMap) {
      read_section(value, schema, key, prefix);
    } else if (value.kind != YamlNode::Kind::kNull) {
      report_section(value.place, schema, key);
    }
  }

  void report_section(const Place& place, const Schema& schema, const std::string& key) {
    problems_.add(place, fmt::format("{} is a section, not a value; set one of its keys: {}", key,
                                     join(schema.children(key), ", ")));
  }

  void read_field(const YamlNode& value, const Field& field, const std::string& key) {
    if (const auto* definitions = std::get_if<Definitions*>(&field.value)) {
      read_definitions(value, key, **definitions);
    } else if (const auto* rules = std::get_if<Rules*>(&field.value)) {
      read_rules(value, key, **rules);
    } else {
      read_value(value, key, field, problems_);
    }
    loaded_.origins[key] = value.place.text();
    for (const YamlNode& name : value.keys)
      loaded_.origins[join_key(key, name.text)] = name.place.text();
  }

  void read_definitions(const YamlNode& map, const std::string& key, Definitions& definitions) {
    if (map.kind == YamlNode::Kind::kNull) return;
    if (map.kind != YamlNode::Kind::kMap) {
      problems_.add(map.place,
                    fmt::format("{}: expected a map, {{name: {{FORMAT: ..., ROOT: ...}}}}, got {}",
                                key, flow_text(map)));
      return;
    }
    std::set<std::string> seen;
    for (size_t i = 0; i < map.keys.size(); ++i) {
      const std::string name = join_key(key, map.keys[i].text);
      if (!seen.insert(name).second)
        problems_.add(map.keys[i].place, name + " is set twice in this file");
      if (map.values[i].kind != YamlNode::Kind::kMap) {
        problems_.add(map.values[i].place,
                      fmt::format("{}: expected {{FORMAT: ..., ROOT: ...}}, got {}", name,
                                  flow_text(map.values[i])));
        continue;
      }
      const Schema schema(list_fields(definitions[map.keys[i].text]));
      read_section(map.values[i], schema, "", name + ".");
    }
  }

  // A list replaces the one that an earlier source gave.
  void read_rules(const YamlNode& list, const std::string& key, Rules& rules) {
    if (list.kind != YamlNode::Kind::kList) {
      const char* hint = list.kind == YamlNode::Kind::kMap ? "; put it into [...]" : "";
      problems_.add(
          list.place,
          fmt::format("{}: expected a list of rules, [{{MATCH: ..., WBITS: ...}}], got {}{}", key,
                      flow_text(list), hint));
      return;
    }
    forget_origins(key + "[");
    Rules read(list.values.size());
    for (size_t i = 0; i < read.size(); ++i) {
      read_rule(list.values[i], fmt::format("{}[{}]", key, i), read[i]);
    }
    rules = std::move(read);
  }

  void read_rule(const YamlNode& map, const std::string& name, QuantizationRule& rule) {
    if (map.kind != YamlNode::Kind::kMap) {
      problems_.add(map.place,
                    fmt::format("{}: expected a rule, {{MATCH: ..., WBITS: ...}}, got {}", name,
                                flow_text(map)));
      return;
    }
    read_section(map, Schema(list_fields(rule)), "", name + ".");
    if (rule.match.empty()) {
      problems_.add(map.place, name +
                                   " has no MATCH; expected node names, such as head.cls.*, or a "
                                   "kind, such as depthwise");
    }
  }

  void forget_origins(const std::string& prefix) {
    for (auto it = loaded_.origins.begin(); it != loaded_.origins.end();) {
      it = starts_with(it->first, prefix) ? loaded_.origins.erase(it) : std::next(it);
    }
  }

  void read_override(const std::string& key, const std::string& text, const Place& place) {
    if (const Field* field = schema_.find(key)) {
      return read_field(override_value(text, *field, place), *field, key);
    }
    if (schema_.is_section(key)) return report_section(place, schema_, key);
    // A.B.c sets the entry c of a map A.B; else the message names the section that has no such key.
    const std::vector<std::string> parts = split(key, '.');
    std::string section;
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::string inner = join_key(section, parts[i]);
      const Field* field = schema_.find(inner);
      if (field && is_map(*field)) {
        std::vector<std::string> names(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                       parts.end());
        if (!std::holds_alternative<Definitions*>(field->value)) names = {join(names, ".")};
        return read_field(nested(names, text, place), *field, inner);
      }
      if (schema_.is_section(inner)) {
        section = inner;
        continue;
      }
      problems_.add(place, fmt::format("unknown key {}{}", key,
                                       field ? "; " + inner + " is a value, not a section"
                                             : schema_.hint(section, parts[i])));
      return;
    }
  }

  static bool is_map(const Field& field) {
    return std::holds_alternative<std::map<std::string, double>*>(field.value) ||
           std::holds_alternative<Options*>(field.value) ||
           std::holds_alternative<Definitions*>(field.value);
  }

  // Text fields take the argument as it is, unless YAML's quotes say otherwise: a path may hold ":
  // " or " #".
  static YamlNode override_value(const std::string& text, const Field& field, const Place& place) {
    const bool is_quoted = text.size() > 1 && (text[0] == '"' || text[0] == '\'');
    const bool is_text =
        std::holds_alternative<std::string*>(field.value) && !text.empty() && !is_quoted;
    return is_text ? scalar(text, place) : parse_value(text, place);
  }

  static YamlNode scalar(const std::string& text, const Place& place) {
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.text = text;
    node.place = place;
    return node;
  }

  // {a: {b: text}} for the names a, b.
  static YamlNode nested(const std::vector<std::string>& names, const std::string& text,
                         const Place& place) {
    YamlNode value = parse_value(text, place);
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
      YamlNode map;
      map.kind = YamlNode::Kind::kMap;
      map.place = place;
      map.keys.push_back(scalar(*name, place));
      map.values.push_back(std::move(value));
      value = std::move(map);
    }
    return value;
  }

  LoadedConfig loaded_;
  Schema schema_;
  Problems problems_;
  std::vector<std::pair<std::string, std::string>> chain_;  // files being read: as named, canonical
  int sources_ = 0;
};

}  // namespace

LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides) {
  Reader reader(path);
  if (!path.empty()) reader.read_file(path, Place{0, path});
  reader.read_overrides(overrides);
  return reader.take();
}

Config parse_config(const std::string& yaml, const std::string& name) {
  Reader reader(name);
  reader.read_text(yaml, name);
  return reader.take().config;
}

}  // namespace ssdq
