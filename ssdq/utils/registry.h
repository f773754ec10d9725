#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {

// Factories of a kind of component, by the name that a config key selects. Names are compared
// without case.
template <typename Product, typename... Args>
class Registry {
 public:
  using Factory = std::function<std::shared_ptr<Product>(Args...)>;

  // `key` is the config key that selects an entry, such as QUANTIZATION.TYPE.
  explicit Registry(std::string key) : key_(std::move(key)) {}

  // Throws Error naming both places if `name` is taken. `summary` is one line for people.
  void add(std::string name, std::string summary, Factory make, const char* file = __builtin_FILE(),
           int line = __builtin_LINE()) {
    const std::string place = fmt::format("{}:{}", file, line);
    const auto taken = entries_.find(to_lower(name));
    if (taken != entries_.end()) {
      fail("{}: {} '{}' is already registered at {}", place, key_, name, taken->second.place);
    }
    std::string lookup = to_lower(name);
    entries_[std::move(lookup)] = {std::move(name), std::move(summary), std::move(make), place};
  }

  bool contains(std::string_view name) const { return entries_.count(to_lower(name)) > 0; }

  // Throws ConfigError for an unknown name, with the nearest and all known ones.
  std::shared_ptr<Product> create(std::string_view name, Args... args) const {
    return find(name).make(std::forward<Args>(args)...);
  }

  // As registered, sorted without regard to case.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : entries_) names.push_back(entry.second.name);
    return names;
  }

  // Throws ConfigError for an unknown name.
  const std::string& summary(std::string_view name) const { return find(name).summary; }

  const std::string& key() const { return key_; }

 private:
  struct Entry {
    std::string name;
    std::string summary;
    Factory make;
    std::string place;
  };

  const Entry& find(std::string_view name) const {
    const auto found = entries_.find(to_lower(name));
    if (found == entries_.end()) {
      fail_config("{}: unknown name '{}'{}", key_, name, suggestion(name, names()));
    }
    return found->second;
  }

  std::string key_;
  std::map<std::string, Entry> entries_;
};

}  // namespace ssdq
