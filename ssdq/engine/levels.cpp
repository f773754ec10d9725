#include "ssdq/engine/levels.h"

#include <algorithm>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/pruning/levels.h"
#include "ssdq/quantization/policy_match.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

template <typename T>
void shorten(std::vector<T>& list, int length) {
  list.resize(std::min(list.size(), static_cast<size_t>(length)));
}

void shorten_lists(ModelConfig& model, int levels) {
  shorten(model.backbone.out_channels, levels);
  PriorsConfig& priors = model.priors;
  shorten(priors.feature_maps, levels);
  shorten(priors.strides, levels);
  shorten(priors.min_sizes, levels);
  shorten(priors.max_sizes, levels);
  shorten(priors.aspect_ratios, levels);
  shorten(priors.boxes_per_location, levels);
}

// The predictor that makes the graph of its backbone: the configuration's own if it does, else
// another one.
std::string predictor_of(const Experiment& part) {
  const ModelConfig& model = part.config.model;
  const HeadRegistry& heads = part.registries->heads;
  const InputConfig& input = part.config.input;
  const Graph backbone = parse_cfg(part.graph_cfg, "the backbone of the levels kept",
                                   input.image_size, input.channels);
  const auto makes_it = [&](const std::string& predictor) {
    Graph made = backbone;
    append_heads(heads, made, {predictor, boxes_per_location(model.priors), model.num_classes});
    return made == part.graph;
  };
  const std::string& own = model.box_head.predictor;
  if (makes_it(own)) {
    return own;
  }
  const auto names = heads.names();
  const auto other = std::find_if(names.begin(), names.end(), makes_it);
  SSDQ_CHECK_CONFIG(other != names.end(),
                    "MODEL.BOX_HEAD.PREDICTOR: no registered predictor makes the heads that {} has "
                    "on its first {} levels; keep all levels",
                    own, part.graph.features.size());
  return *other;
}

bool has_marks(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return node.quantization.enabled.value_or(false); });
}

// The nodes kept are quantized as they were.
void restrict_quantization(QuantizationConfig& config, const Graph& whole, const Graph& part) {
  auto& rules = config.policy;
  const auto serves_none = [&](const QuantizationRule& rule) {
    return std::none_of(part.nodes.begin(), part.nodes.end(), [&](const Node& node) {
      return is_quantizable(node) && rule_matches(rule, node);
    });
  };
  rules.erase(std::remove_if(rules.begin(), rules.end(), serves_none), rules.end());
  if (config.layers == "auto" && has_marks(whole) && !has_marks(part)) {
    config.layers = "marked";
  }
}

}  // namespace

Experiment first_levels(const Experiment& whole, int keep) {
  Experiment part = whole;
  part.graph = without_levels(whole.graph, keep);
  part.graph_cfg = write_cfg(part.graph);
  shorten_lists(part.config.model, keep);
  restrict_quantization(part.config.quantization, whole.graph, part.graph);
  part.config.model.box_head.predictor = predictor_of(part);
  shorten(part.feature_maps, keep);
  part.priors =
      make_priors(part.config.model.priors, part.feature_maps, part.config.input.image_size);
  return part;
}

}  // namespace ssdq
