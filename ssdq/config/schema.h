#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/config/field.h"

namespace ssdq {

// The fields of a struct, found by key.
class Schema {
 public:
  explicit Schema(FieldList list);

  const std::vector<Field>& fields() const { return list_.fields; }

  // Null when there is no such field.
  const Field* find(const std::string& key) const;

  bool is_section(const std::string& key) const;

  // Last parts of the keys directly in a section, sections included; "" is the top.
  std::vector<std::string> children(const std::string& section) const;

  // End of a message about an unknown key: the nearest key there or elsewhere, and those known
  // there.
  std::string hint(const std::string& section, const std::string& name) const;

 private:
  FieldList list_;
  std::map<std::string, size_t> index_;
};

// A.B and C make A.B.C; an empty section leaves C.
std::string join_key(const std::string& section, const std::string& name);

}  // namespace ssdq
