#include "ssdq/graph/cfg_section.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

std::optional<int> to_int(std::string_view s) {
  int value = 0;
  const char* first = s.data() + (s.size() > 1 && s[0] == '+' ? 1 : 0);
  const char* last = s.data() + s.size();
  const auto [end, error] = std::from_chars(first, last, value);
  return error == std::errc() && end == last ? std::optional<int>(value) : std::nullopt;
}

void add_entry(const std::string& line, int number, CfgSection& section, CfgProblems& problems) {
  const auto equals = line.find('=');
  const std::string key(trim(line.substr(0, equals)));
  if (equals == std::string::npos || key.empty()) {
    problems.add(number, fmt::format("expected 'key = value' or '[section]', got '{}'", line));
    return;
  }
  const auto same = std::find_if(section.entries.begin(), section.entries.end(),
                                 [&](const CfgEntry& e) { return e.key == key; });
  if (same != section.entries.end()) {
    problems.add(number, fmt::format("[{}] {}: already given in line {}, keep one", section.type,
                                     key, same->line));
    return;
  }
  section.entries.push_back({key, std::string(trim(line.substr(equals + 1))), number});
}

}  // namespace

void CfgProblems::add(int line, const std::string& sentence) {
  lines_.push_back(line > 0 ? fmt::format("{}:{}: {}", file_, line, sentence)
                            : fmt::format("{}: {}", file_, sentence));
}

void CfgProblems::throw_if_any() const {
  if (!lines_.empty()) {
    throw ConfigError(fmt::format("{}", fmt::join(lines_, "\n")));
  }
}

std::vector<CfgSection> split_cfg(const std::string& text, CfgProblems& problems) {
  std::vector<CfgSection> sections;
  std::istringstream stream(text.rfind("\xEF\xBB\xBF", 0) == 0 ? text.substr(3) : text);
  std::string raw;
  for (int number = 1; std::getline(stream, raw); ++number) {
    const std::string line(trim(raw.substr(0, raw.find_first_of("#;"))));
    if (line.empty()) {
      continue;
    }
    if (line.front() == '[') {
      if (line.back() != ']') {
        problems.add(number, fmt::format("expected '[section]', got '{}'", line));
      }
      sections.push_back(
          {to_lower(trim(std::string_view(line).substr(1, line.find(']') - 1))), number, {}});
    } else if (sections.empty()) {
      problems.add(number, fmt::format("'{}' stands before the first [section]", line));
    } else if (sections.back().type != "net") {
      add_entry(line, number, sections.back(), problems);
    }
  }
  return sections;
}

const CfgEntry* CfgReader::find(const std::string& key) const {
  const auto& entries = section_.entries;
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&](const CfgEntry& e) { return e.key == key; });
  return it == entries.end() ? nullptr : &*it;
}

void CfgReader::problem(const std::string& key, const std::string& sentence) const {
  const CfgEntry* entry = find(key);
  problems_.add(entry != nullptr ? entry->line : section_.line,
                fmt::format("[{}] {}: {}", section_.type, key, sentence));
}

void CfgReader::missing(const std::string& key) const { problem(key, "missing, give a value"); }

void CfgReader::check_keys(const std::vector<std::string>& known) const {
  for (const auto& entry : section_.entries) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      problem(entry.key, "unknown key" + suggestion(entry.key, known));
    }
  }
}

bool CfgReader::is(const std::string& key, const std::string& word) const {
  const CfgEntry* entry = find(key);
  return entry != nullptr && to_lower(entry->value) == word;
}

int CfgReader::integer(const std::string& key, int least, int most,
                       std::optional<int> fallback) const {
  const CfgEntry* entry = find(key);
  if (entry == nullptr) {
    if (!fallback) {
      missing(key);
    }
    return fallback.value_or(least);
  }
  const auto value = to_int(entry->value);
  if (!value || *value < least || *value > most) {
    problem(key, fmt::format("expected an integer in {}..{}, got '{}'", least, most, entry->value));
    return fallback.value_or(least);
  }
  return *value;
}

double CfgReader::number(const std::string& key, double fallback) const {
  const CfgEntry* entry = find(key);
  if (entry == nullptr) {
    return fallback;
  }
  char* end = nullptr;
  const double value = std::strtod(entry->value.c_str(), &end);
  if (entry->value.empty() || *end != '\0' || !std::isfinite(value) || value <= 0) {
    problem(key, fmt::format("expected a number above 0, got '{}'", entry->value));
    return fallback;
  }
  return value;
}

bool CfgReader::flag(const std::string& key, bool fallback) const {
  return integer(key, 0, 1, fallback ? 1 : 0) == 1;
}

Size2 CfgReader::size(const std::string& key, int least, int most,
                      std::optional<int> fallback) const {
  const CfgEntry* entry = find(key);
  const Size2 other{fallback.value_or(least), fallback.value_or(least)};
  if (entry == nullptr) {
    if (!fallback) {
      missing(key);
    }
    return other;
  }
  const auto x = entry->value.find('x');
  const auto height = to_int(trim(std::string_view(entry->value).substr(0, x)));
  const auto width =
      x == std::string::npos ? height : to_int(trim(std::string_view(entry->value).substr(x + 1)));
  if (!height || !width || std::min(*height, *width) < least || std::max(*height, *width) > most) {
    problem(key, fmt::format("expected an integer in {}..{} or HEIGHTxWIDTH, got '{}'", least, most,
                             entry->value));
    return other;
  }
  return {*height, *width};
}

std::string CfgReader::word(const std::string& key, const std::vector<std::string>& choices,
                            const std::string& fallback) const {
  const CfgEntry* entry = find(key);
  if (entry == nullptr) {
    return fallback;
  }
  if (std::find(choices.begin(), choices.end(), to_lower(entry->value)) == choices.end()) {
    problem(key,
            fmt::format("unknown value '{}'{}", entry->value, suggestion(entry->value, choices)));
    return fallback;
  }
  return to_lower(entry->value);
}

std::vector<int> CfgReader::integers(const std::string& key) const {
  const CfgEntry* entry = find(key);
  if (entry == nullptr) {
    missing(key);
    return {};
  }
  std::vector<int> values;
  std::istringstream stream(entry->value);
  for (std::string part; std::getline(stream, part, ',');) {
    if (const auto value = to_int(trim(part))) {
      values.push_back(*value);
    } else {
      problem(key, fmt::format("expected comma-separated section numbers, got '{}'", entry->value));
      return {};
    }
  }
  if (values.empty()) {
    problem(key, "expected at least one section number");
  }
  return values;
}

std::string CfgReader::identifier(const std::string& key) const {
  const CfgEntry* entry = find(key);
  if (entry == nullptr) {
    return "";
  }
  const bool valid = !entry->value.empty() &&
                     std::all_of(entry->value.begin(), entry->value.end(),
                                 [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (!valid) {
    problem(key, fmt::format("expected letters, digits and '_', got '{}'", entry->value));
    return "";
  }
  return entry->value;
}

}  // namespace ssdq
