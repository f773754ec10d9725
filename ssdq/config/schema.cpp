#include "ssdq/config/schema.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

// The part of `key` that stands directly in `section`, or nothing.
std::string child_name(const std::string& key, const std::string& section) {
  const std::string prefix = section.empty() ? "" : section + ".";
  if (!starts_with(key, prefix) || key.size() == prefix.size()) return {};
  const std::string name = key.substr(prefix.size());
  return name.find('.') == std::string::npos ? name : std::string();
}

}  // namespace

Schema::Schema(FieldList list) : list_(std::move(list)) {
  for (size_t i = 0; i < list_.fields.size(); ++i) index_[list_.fields[i].key] = i;
}

const Field* Schema::find(const std::string& key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &list_.fields[found->second];
}

bool Schema::is_section(const std::string& key) const {
  for (const Section& section : list_.sections) {
    if (section.key == key) return true;
  }
  return key.empty();
}

std::vector<std::string> Schema::children(const std::string& section) const {
  std::vector<std::string> names;
  for (const Field& field : list_.fields) names.push_back(child_name(field.key, section));
  for (const Section& inner : list_.sections) names.push_back(child_name(inner.key, section));
  names.erase(std::remove(names.begin(), names.end(), ""), names.end());
  return names;
}

std::string Schema::hint(const std::string& section, const std::string& name) const {
  const std::vector<std::string> known = children(section);
  if (!nearest_name(name, known)) {
    for (const Field& field : list_.fields) {
      const std::string leaf = field.key.substr(field.key.rfind('.') + 1);
      if (leaf == name)
        return fmt::format("; did you mean '{}'? (known here: {})", field.key, join(known, ", "));
    }
  }
  return suggestion(name, known);
}

std::string join_key(const std::string& section, const std::string& name) {
  return section.empty() ? name : section + "." + name;
}

}  // namespace ssdq
