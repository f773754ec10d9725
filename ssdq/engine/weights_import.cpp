#include "ssdq/engine/weights_import.h"

#include <algorithm>
#include <set>

#include "ssdq/engine/quantizers.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/glob.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

State backbone_of(const State& weights, const std::string& path) {
  State backbone;
  std::copy_if(weights.begin(), weights.end(), std::back_inserter(backbone),
               [](const auto& entry) { return starts_with(entry.first, "backbone."); });
  SSDQ_CHECK(!backbone.empty(),
             "{}: no tensor is named 'backbone.*'; expected a checkpoint of this network", path);
  return backbone;
}

const ImportSource& source_of(const State& state, const std::string& path) {
  try {
    return detect_source(state);
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
  }
}

}  // namespace

bool is_own_state(const Graph& graph, const State& state) {
  std::set<std::string> nodes;
  for (const Node& node : graph.nodes) {
    nodes.insert(node.name);
  }
  return std::any_of(state.begin(), state.end(), [&](const auto& entry) {
    const auto& name = entry.first;
    return ends_with(name, ".weight") && nodes.count(name.substr(0, name.size() - 7)) > 0;
  });
}

RequestedWeights weights_for(const Graph& graph, const Checkpoint& checkpoint,
                             const std::string& path, const WeightsRequest& request) {
  State weights = inference_weights(checkpoint);
  if (!checkpoint.weights_only || is_own_state(graph, weights)) {
    weights.erase(
        std::remove_if(weights.begin(), weights.end(),
                       [&](const auto& entry) { return matches_any(request.reset, entry.first); }),
        weights.end());
    return {request.backbone_only ? backbone_of(weights, path) : weights, {}};
  }
  ImportOptions options;
  options.source = source_of(weights, path).name;
  options.backbone_only = request.backbone_only;
  options.allow_missing = request.allow_missing;
  options.reset = request.reset;
  auto imported = import_state(graph, weights, options);
  check_complete(imported, path);
  log_info("weights: {} is of {} ({} tensors)", path, imported.source->summary,
           imported.report.matched.size());
  return {std::move(imported.tensors), std::move(imported.input_ranges)};
}

std::set<std::string> set_input_ranges(const torch::nn::Module& detector,
                                       const InputRanges& ranges) {
  std::set<std::string> tensors;
  size_t count = 0;
  for (const auto& one : quantizers_of(detector)) {
    const auto range = ranges.find(one.name.substr(0, one.name.rfind('.')));
    if (one.is_weight || range == ranges.end() || !one.quantizer->set_range(range->second)) {
      continue;
    }
    ++count;
    for (const auto& buffer : one.quantizer->named_buffers()) {
      tensors.insert(one.name + "." + buffer.key());
    }
  }
  if (count > 0) {
    log_info("ranges: {} quantizers of inputs have the file's", count);
  }
  return tensors;
}

}  // namespace ssdq
