#include "ssdq/pruning/sparsity.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/pruning/selection.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr const char* kSuffix = ".bn.weight";
constexpr double kNearZero = 0.01;  // of the mean

std::string node_of(const std::string& scale) {
  return scale.substr(0, scale.size() - std::char_traits<char>::length(kSuffix));
}

std::vector<double> magnitudes_of(const PenalisedScales& scales) {
  const auto all = concatenated(scales).abs().to(torch::kCPU, torch::kFloat64).contiguous();
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

double mean_of(const std::vector<double>& values, const std::vector<int64_t>& places) {
  double sum = 0;
  for (const int64_t place : places) sum += values[place];
  return sum / static_cast<double>(places.size());
}

int64_t count_below(const std::vector<double>& values, double bound) {
  return std::count_if(values.begin(), values.end(), [&](double v) { return v < bound; });
}

}  // namespace

PenalisedScales penalised_scales(const GraphModuleImpl& network, PruneScope scope) {
  const Graph& graph = network.graph();
  const auto units = channel_units(graph);
  std::set<NodeId> inside, outside;
  for (const auto& group : channel_groups(graph, units)) {
    auto& nodes = in_scope(group, scope) ? inside : outside;
    nodes.insert(group.convs.begin(), group.convs.end());
    nodes.insert(group.depthwise.begin(), group.depthwise.end());
  }
  PenalisedScales scales;
  for (const auto& [name, block] : network.convolutions()) {
    const NodeId id = graph.find(name);
    if (block->bn && inside.count(id) > 0 && outside.count(id) == 0) {
      scales.emplace_back(name + kSuffix, block->bn->weight);
    }
  }
  return scales;
}

std::set<std::string> names_of(const PenalisedScales& scales) {
  std::set<std::string> names;
  for (const auto& scale : scales) {
    names.insert(scale.first);
  }
  return names;
}

torch::Tensor concatenated(const PenalisedScales& scales) {
  SSDQ_CHECK(!scales.empty(), "there are no scales of batch norms in the scope of pruning");
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> all;
  for (const auto& scale : scales) {
    all.push_back(scale.second);
  }
  return torch::cat(all);
}

ScaleLayout scale_layout(const GraphModuleImpl& network, PruneScope scope,
                         const PenalisedScales& scales) {
  const Graph& graph = network.graph();
  const auto units = channel_units(graph);
  ScaleLayout layout;
  std::map<int, std::vector<int64_t>> places;     // by unit
  std::map<int, std::vector<std::string>> nodes;  // by unit
  for (const auto& scale : scales) {
    const std::string node = node_of(scale.first);
    for (const int unit : units.of[graph.find(node)]) {
      places[unit].push_back(layout.count++);
      nodes[unit].push_back(node);
    }
  }
  for (const auto& group : groups_in_scope(graph, units, scope)) {
    ScaleGroup found;
    std::set<std::string> members;
    for (const int unit : group.units) {
      const auto of_unit = places.find(unit);
      if (of_unit == places.end()) continue;  // no batch norm
      if (found.name.empty()) found.name = nodes[unit].front();
      members.insert(nodes[unit].begin(), nodes[unit].end());
      layout.units.push_back(of_unit->second);
      found.places.insert(found.places.end(), of_unit->second.begin(), of_unit->second.end());
    }
    if (members.size() > 1) found.name += fmt::format(" +{}", members.size() - 1);
    if (!members.empty()) layout.groups.push_back(std::move(found));
  }
  return layout;
}

SparsityStatus sparsity_status(const PenalisedScales& scales, const ScaleLayout& layout) {
  const std::vector<double> all = magnitudes_of(scales);
  std::vector<double> scores;
  for (const auto& unit : layout.units) {
    scores.push_back(mean_of(all, unit));
  }
  // NaN, which a diverged run has, comes last.
  std::sort(scores.begin(), scores.end(),
            [](double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; });
  double sum = 0;
  for (const double magnitude : all) sum += magnitude;
  const auto count = static_cast<double>(all.size());
  SparsityStatus status;
  status.near_zero = static_cast<double>(count_below(all, kNearZero * sum / count)) / count;
  for (const int percent : {30, 50, 70}) {
    const double threshold = threshold_at(scores, percent / 100.0);
    status.cuts.push_back({percent, threshold, count_below(all, threshold)});
  }
  return status;
}

}  // namespace ssdq
