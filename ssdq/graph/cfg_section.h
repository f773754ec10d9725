#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ssdq/structures/size.h"

namespace ssdq {

struct CfgEntry {
  std::string key, value;
  int line = 0;
};

// "[convolutional]" and the "key = value" lines below it.
struct CfgSection {
  std::string type;
  int line = 0;
  std::vector<CfgEntry> entries;
};

// Sentences about one cfg file, thrown together as one ConfigError, a line each.
class CfgProblems {
 public:
  explicit CfgProblems(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }
  bool empty() const { return lines_.empty(); }
  void add(int line, const std::string& sentence);
  void throw_if_any() const;

 private:
  std::string file_;
  std::vector<std::string> lines_;
};

// Splits the text; '#' and ';' start comments. Keys given twice in a section, lines that are
// neither a section nor a key, and keys before the first section are problems ([net] may hold
// anything).
std::vector<CfgSection> split_cfg(const std::string& text, CfgProblems& problems);

// Typed access to a section's keys. A value that cannot be read is noted as a problem and the
// fallback returned, so that one run over the file finds all mistakes.
class CfgReader {
 public:
  CfgReader(const CfgSection& section, CfgProblems& problems)
      : section_(section), problems_(problems) {}

  void check_keys(const std::vector<std::string>& known) const;
  bool has(const std::string& key) const { return find(key) != nullptr; }
  bool is(const std::string& key, const std::string& word) const;  // a word in any case
  // Without a fallback the key is required.
  int integer(const std::string& key, int least, int most, std::optional<int> fallback) const;
  double number(const std::string& key, double fallback) const;  // > 0
  bool flag(const std::string& key, bool fallback) const;        // 0 or 1
  // "3" for both sides or "3x1" for height x width.
  Size2 size(const std::string& key, int least, int most, std::optional<int> fallback) const;
  std::string word(const std::string& key, const std::vector<std::string>& choices,
                   const std::string& fallback) const;
  std::vector<int> integers(const std::string& key) const;  // required, comma-separated
  std::string identifier(const std::string& key) const;     // letters, digits, '_'; "" if not given

  void problem(const std::string& key, const std::string& sentence) const;

 private:
  const CfgEntry* find(const std::string& key) const;
  void missing(const std::string& key) const;

  const CfgSection& section_;
  CfgProblems& problems_;
};

}  // namespace ssdq
