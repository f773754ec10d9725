#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ssdq/config/config.h"

namespace ssdq {

// How the text of a value is understood.
enum class TextStyle {
  kPlain,     // as written
  kName,      // lower-cased
  kTypeName,  // lower-cased; no, none, false and nothing mean none
  kPath,      // as written; "." means none
  kDevice,    // auto, cpu, cuda, cuda:N
};

// What a field accepts; numbers in lists are bounded one by one.
struct Rule {
  std::optional<double> least;
  std::optional<double> most;
  bool least_excluded = false;
  bool most_excluded = false;
  bool or_minus_one = false;
  std::vector<std::string> choices;
  TextStyle style = TextStyle::kPlain;
};

inline Rule between(double least, double most) {
  Rule rule;
  rule.least = least;
  rule.most = most;
  return rule;
}

inline Rule at_least(double least) {
  Rule rule;
  rule.least = least;
  return rule;
}

inline Rule above(double bound) {
  Rule rule = at_least(bound);
  rule.least_excluded = true;
  return rule;
}

inline Rule from_up_to_below(double least, double bound) {
  Rule rule = between(least, bound);
  rule.most_excluded = true;
  return rule;
}

// -1 is never.
inline Rule iteration_or_never() {
  Rule rule = at_least(0);
  rule.or_minus_one = true;
  return rule;
}

// -1 lifts the limit.
inline Rule limit() {
  Rule rule = at_least(1);
  rule.or_minus_one = true;
  return rule;
}

inline Rule one_of(std::vector<std::string> choices) {
  Rule rule;
  rule.choices = std::move(choices);
  return rule;
}

inline Rule text(TextStyle style) {
  Rule rule;
  rule.style = style;
  return rule;
}

// "at least 1", "1..32", "one of sgd, adamw"; empty when everything goes.
std::string describe(const Rule& rule);

bool accepts(const Rule& rule, double value);

using FieldValue =
    std::variant<std::string*, bool*, int*, int64_t*, double*, Size2*, std::vector<int>*,
                 std::vector<int64_t>*, std::vector<double>*, std::vector<std::string>*,
                 std::vector<Size2>*, std::vector<std::vector<double>>*,
                 std::map<std::string, double>*, Options*,
                 std::map<std::string, DatasetDefinition>*, std::vector<WidthStage>*,
                 std::vector<QuantizationRule>*, std::optional<int>*, std::optional<bool>*,
                 std::optional<std::string>*, std::optional<Options>*>;

// A leaf of the configuration: a key with its sections (SOLVER.LR) and the member that it sets.
struct Field {
  std::string key;
  FieldValue value;
  std::string description;
  Rule rule;
};

struct Section {
  std::string key;  // MODEL.BACKBONE; empty for the top
  std::string description;
};

struct FieldList {
  std::vector<Field> fields;      // in the order of visit_fields
  std::vector<Section> sections;  // outer before inner, the top not among them
};

// The fields of a whole configuration, one data set's definition or one rule, pointing into it.
FieldList list_fields(Config& config);
FieldList list_fields(DatasetDefinition& definition);
FieldList list_fields(QuantizationRule& rule);

}  // namespace ssdq
