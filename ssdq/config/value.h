#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ssdq/config/document.h"
#include "ssdq/config/field.h"

namespace ssdq {

// Sets the member that `field` points to from what was written. Mistakes are problems, under the
// name `key`; the member then keeps its value. Maps gain entries. Not for data set definitions and
// rules, which have fields of their own.
void read_value(const YamlNode& node, const std::string& key, const Field& field,
                Problems& problems);

// The value as YAML on one line that reads back to the same value.
std::string value_text(const FieldValue& value);
std::string value_text(const Field& field);  // choices without quotes

// A rule's keys and values that are set, as a map on one line.
std::string rule_text(const QuantizationRule& rule);

// A string as a YAML scalar, quoted if it must be.
std::string scalar_text(const std::string& text);

// True for true, yes, on and false for false, no, off, in any case; nothing for other text.
std::optional<bool> parse_bool(std::string_view text);

}  // namespace ssdq
