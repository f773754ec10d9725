#include "ssdq/quantization/options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {

const std::string* OptionReader::find(const std::string& key) {
  known_.insert(key);
  const auto found = options_.find(key);
  return found == options_.end() ? nullptr : &found->second;
}

double OptionReader::number(const std::string& key, double standard, double least, double most) {
  const std::string* text = find(key);
  if (text == nullptr) {
    return standard;
  }
  char* end = nullptr;
  const double value = std::strtod(text->c_str(), &end);
  SSDQ_CHECK_CONFIG(!text->empty() && *end == '\0' && value >= least && value <= most,
                    "QUANTIZATION.OPTIONS.{} must be a number in {}..{}, got '{}'", key, least,
                    most, *text);
  return value;
}

bool OptionReader::flag(const std::string& key, bool standard) {
  return choice(key, standard ? "true" : "false", {"true", "false"}) == "true";
}

std::string OptionReader::choice(const std::string& key, const std::string& standard,
                                 const std::vector<std::string>& choices) {
  const std::string* text = find(key);
  if (text == nullptr) {
    return standard;
  }
  const std::string word = to_lower(*text);
  SSDQ_CHECK_CONFIG(std::find(choices.begin(), choices.end(), word) != choices.end(),
                    "QUANTIZATION.OPTIONS.{} must be {}, got '{}'", key, join(choices, " or "),
                    *text);
  return word;
}

void OptionReader::finish() const {
  for (const auto& entry : options_) {
    SSDQ_CHECK_CONFIG(
        known_.count(entry.first) != 0, "QUANTIZATION.OPTIONS: unknown key '{}' of {}{}",
        entry.first, method_,
        suggestion(entry.first, std::vector<std::string>(known_.begin(), known_.end())));
  }
}

bool is_quantized(const TensorSpec& spec, const std::string& method, const std::string& what,
                  Widths widths) {
  const bool known = spec.bits == 32 || (spec.bits >= widths.least && spec.bits <= widths.most);
  SSDQ_CHECK_CONFIG(known, "{}: {} quantizes {}{} to {}..{} bits (32 leaves them in float), got {}",
                    spec.node, method, what == "activations" && spec.is_signed ? "signed " : "",
                    what, widths.least, widths.most, spec.bits);
  return spec.bits != 32;
}

}  // namespace ssdq
