#include "ssdq/config/writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ssdq/config/schema.h"
#include "ssdq/config/value.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr const char* kReferenceIntroduction = R"(# Configuration

A configuration is a YAML file. What it leaves out has the default below. `_BASE_: file` (or a list of files), relative to
the file that says it, is read first: sections are merged, values and lists are replaced. `KEY VALUE` pairs on the command
line come last and win: `train_net --config-file configs/my.yaml SOLVER.LR 1e-4 TEST.MAX_PER_IMAGE 50`.

- Lists are `[1, 2]`; `(1, 2)`, as in Python, is read too. Names such as `IAO` are read in any case.
- `train_net --print-config` shows the result. It is also saved as `config.yaml` in OUTPUT_DIR and in each checkpoint.
- Mistakes are reported all at once with file, line and column.

This page is made from `ssdq/config/fields.h`.
)";

std::string parent(const std::string& key) {
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

std::string leaf(const std::string& key) { return key.substr(key.rfind('.') + 1); }

std::string indent(const std::string& section) {
  if (section.empty()) return {};
  return std::string(2 * split(section, '.').size(), ' ');
}

template <typename Map>
std::string block(const Map& entries, const std::string& margin) {
  if (entries.empty()) return " {}\n";
  std::string text = "\n";
  for (auto entry : entries) {
    text += fmt::format("{}{}: {}\n", margin, scalar_text(entry.first), value_text(&entry.second));
  }
  return text;
}

std::string definitions_block(std::map<std::string, DatasetDefinition>& entries,
                              const std::string& margin) {
  if (entries.empty()) return " {}\n";
  std::string text = "\n";
  for (auto& [name, definition] : entries) {
    text += fmt::format("{}{}:\n", margin, scalar_text(name));
    for (const Field& field : list_fields(definition).fields) {
      text += fmt::format("{}  {}: {}\n", margin, field.key, value_text(field.value));
    }
  }
  return text;
}

std::string rules_block(const std::vector<QuantizationRule>& rules, const std::string& margin) {
  if (rules.empty()) return " []\n";
  std::string text = "\n";
  for (const QuantizationRule& rule : rules) text += margin + "- " + rule_text(rule) + "\n";
  return text;
}

std::string entry(const Field& field) {
  const std::string margin = indent(parent(field.key));
  std::string value = " " + value_text(field) + "\n";
  const std::string inner = margin + "  ";
  if (const auto* map = std::get_if<std::map<std::string, double>*>(&field.value))
    value = block(**map, inner);
  if (const auto* map = std::get_if<Options*>(&field.value)) value = block(**map, inner);
  if (const auto* map = std::get_if<std::map<std::string, DatasetDefinition>*>(&field.value)) {
    value = definitions_block(**map, inner);
  }
  if (const auto* rules = std::get_if<std::vector<QuantizationRule>*>(&field.value)) {
    value = rules_block(**rules, inner);
  }
  return margin + leaf(field.key) + ":" + value;
}

std::string escape_cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? "\\|" : std::string(1, c);
  return escaped;
}

std::string accepted(const Field& field) {
  if (std::holds_alternative<bool*>(field.value) ||
      std::holds_alternative<std::optional<bool>*>(field.value)) {
    return "true, false";
  }
  return describe(field.rule);
}

// Numbers like 1/3 are written in full for reading back; a person wants four digits.
std::string shown_default(const Field& field) {
  if (const auto* number = std::get_if<double*>(&field.value))
    return fmt::format("{:.4g}", **number);
  const auto* string = std::get_if<std::string*>(&field.value);
  return string && (*string)->empty() ? "" : value_text(field);
}

std::string table(const FieldList& list, const std::string& section) {
  std::string text = "\n| key | default | accepts | meaning |\n|---|---|---|---|\n";
  for (const Field& field : list.fields) {
    if (parent(field.key) != section) continue;
    const std::string shown = shown_default(field);
    text += fmt::format("| {} | {} | {} | {} |\n", leaf(field.key),
                        shown.empty() ? "" : "`" + escape_cell(shown) + "`",
                        escape_cell(accepted(field)), escape_cell(field.description));
  }
  return text;
}

}  // namespace

std::string to_yaml(const Config& config) {
  Config copy = config;
  const FieldList list = list_fields(copy);
  std::string text;
  std::vector<std::string> open;
  for (const Field& field : list.fields) {
    std::vector<std::string> sections = split(field.key, '.');
    sections.pop_back();
    size_t common = 0;
    while (common < std::min(open.size(), sections.size()) && open[common] == sections[common])
      ++common;
    for (size_t i = common; i < sections.size(); ++i)
      text += std::string(2 * i, ' ') + sections[i] + ":\n";
    text += entry(field);
    open = std::move(sections);
  }
  return text;
}

std::string differences(const Config& config) {
  Config copy = config;
  Config defaults;
  const FieldList now = list_fields(copy);
  const FieldList before = list_fields(defaults);
  std::string text;
  for (size_t i = 0; i < now.fields.size(); ++i) {
    const std::string value = value_text(now.fields[i]);
    const std::string standard = value_text(before.fields[i]);
    if (value != standard)
      text += fmt::format("{}: {} (default: {})\n", now.fields[i].key, value, standard);
  }
  return text;
}

std::string config_reference() {
  Config defaults;
  const FieldList list = list_fields(defaults);
  DatasetDefinition definition;
  QuantizationRule rule;
  std::string text = kReferenceIntroduction;
  text += "\n## Top\n" + table(list, "");
  for (const Section& section : list.sections) {
    text +=
        fmt::format("\n## {}\n\n{}\n", section.key, section.description) + table(list, section.key);
    if (section.key == "DATASETS") {
      text += "\n### DATASETS.DEFINE.name\n" + table(list_fields(definition), "");
    }
    if (section.key == "QUANTIZATION") {
      text += "\n### QUANTIZATION.POLICY[i]\n" + table(list_fields(rule), "");
    }
  }
  return text;
}

}  // namespace ssdq
