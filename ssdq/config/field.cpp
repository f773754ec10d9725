#include "ssdq/config/field.h"

#include <utility>

#include <fmt/format.h>

#include "ssdq/config/fields.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

class Lister {
 public:
  template <typename Value>
  void field(const char* key, Value& value, const char* description, Rule rule = {}) {
    list_.fields.push_back({prefix_ + key, &value, description, std::move(rule)});
  }

  template <typename Struct>
  void section(const char* key, Struct& value, const char* description) {
    list_.sections.push_back({prefix_ + key, description});
    const std::string outer = std::exchange(prefix_, prefix_ + key + ".");
    visit_fields(*this, value);
    prefix_ = outer;
  }

  FieldList take() { return std::move(list_); }

 private:
  std::string prefix_;
  FieldList list_;
};

template <typename Struct>
FieldList list(Struct& value) {
  Lister lister;
  visit_fields(lister, value);
  return lister.take();
}

}  // namespace

std::string describe(const Rule& rule) {
  if (rule.style == TextStyle::kDevice) return "one of auto, cpu, cuda, cuda:N";
  if (!rule.choices.empty()) return "one of " + join(rule.choices, ", ");
  if (!rule.least) return {};
  std::string least = fmt::format("{} {}", rule.least_excluded ? "above" : "at least", *rule.least);
  if (rule.or_minus_one) return "-1 or " + least;
  if (!rule.most) return least;
  if (*rule.least == *rule.most) return fmt::format("{}", *rule.least);
  if (rule.most_excluded) return fmt::format("{} and below {}", least, *rule.most);
  return fmt::format("{}..{}", *rule.least, *rule.most);
}

bool accepts(const Rule& rule, double value) {
  if (rule.or_minus_one && value == -1) return true;
  if (rule.least && (rule.least_excluded ? value <= *rule.least : value < *rule.least))
    return false;
  return !rule.most || (rule.most_excluded ? value < *rule.most : value <= *rule.most);
}

FieldList list_fields(Config& config) { return list(config); }

FieldList list_fields(DatasetDefinition& definition) { return list(definition); }

FieldList list_fields(QuantizationRule& rule) { return list(rule); }

}  // namespace ssdq
