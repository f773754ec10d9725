#include "ssdq/engine/quantization_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "ssdq/engine/quantizers.h"
#include "ssdq/quantization/policy.h"

namespace ssdq {
namespace {

constexpr size_t kColumns = 9;
using Row = std::array<std::string, kColumns>;

struct Reports {
  QuantizerReport weight, input;
};

// By the node that owns the quantizers.
std::map<std::string, Reports> reports_of(const Detector& detector) {
  std::map<std::string, Reports> result;
  for (const auto& one : quantizers_of(*detector)) {
    const std::string node = one.name.substr(0, one.name.rfind('.'));
    (one.is_weight ? result[node].weight : result[node].input) = one.quantizer->report();
  }
  return result;
}

void put(Row& row, size_t at, const QuantizerReport& report) {
  const bool is_float = report.granularity.empty();
  row[at] = is_float ? "float" : fmt::format("{}", report.bits);
  row[at + 1] = is_float ? "" : report.granularity;
  row[at + 2] = is_float ? "" : report.range.empty() ? "?" : report.range;
}

Row row_of(const NodeDecision& decision, const std::map<std::string, Reports>& reports) {
  Row row{decision.node, decision.kind, "", "", "", "", "", "", ""};
  const auto found = reports.find(decision.node);
  if (found == reports.end()) {
    row[8] = "float: " + decision.reason;
    return row;
  }
  row[8] = decision.how.type;
  if (decision.how.merge == MergeInputs::kNone) {
    put(row, 2, found->second.weight);
  }
  put(row, 5, found->second.input);
  return row;
}

}  // namespace

std::string quantization_table(const Experiment& experiment, const Detector& detector) {
  std::vector<Row> rows = {
      {"layer", "kind", "W", "weight codes", "range", "A", "input codes", "range", "method"}};
  const auto reports = reports_of(detector);
  for (const auto& decision :
       decide_quantization(experiment.graph, experiment.config.quantization)) {
    rows.push_back(row_of(decision, reports));
  }
  std::array<size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < kColumns; ++i) {
      line += fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace ssdq
