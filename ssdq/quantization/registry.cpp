#include "ssdq/quantization/registry.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

void QuantizerRegistry::add(const std::string& name, std::string summary, Factory make) {
  const bool added =
      entries_.emplace(lower(name), Entry{std::move(summary), std::move(make)}).second;
  SSDQ_CHECK(added, "QUANTIZATION.TYPE: '{}' is registered twice", name);
}

std::shared_ptr<QuantizationMethod> QuantizerRegistry::create(
    const std::string& name, const QuantizationConfig& config) const {
  return find(name).make(config);
}

std::vector<std::string> QuantizerRegistry::names() const {
  std::vector<std::string> result;
  for (const auto& entry : entries_) {
    result.push_back(entry.first);
  }
  return result;
}

const std::string& QuantizerRegistry::summary(const std::string& name) const {
  return find(name).summary;
}

const QuantizerRegistry::Entry& QuantizerRegistry::find(const std::string& name) const {
  const auto entry = entries_.find(lower(name));
  SSDQ_CHECK_CONFIG(entry != entries_.end(), "QUANTIZATION.TYPE: unknown name '{}' (known: {})",
                    name, fmt::join(names(), ", "));
  return entry->second;
}

}  // namespace ssdq
