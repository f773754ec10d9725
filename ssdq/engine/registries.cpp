#include "ssdq/engine/registries.h"

#include "ssdq/data/catalog.h"
#include "ssdq/engine/named_backbones.h"
#include "ssdq/evaluation/evaluator.h"
#include "ssdq/pruning/channel_groups.h"
#include "ssdq/quantization/build.h"

namespace ssdq {
namespace {

ComponentList head_list(const HeadRegistry& heads) {
  ComponentList list{"heads", "MODEL.BOX_HEAD.PREDICTOR", {}};
  for (const auto& name : heads.names()) {
    list.entries.emplace_back(name, heads.find(name).summary);
  }
  return list;
}

ComponentList quantizer_list(const QuantizerRegistry& quantizers) {
  ComponentList list{"quantizers", "QUANTIZATION.TYPE", {}};
  for (const auto& name : quantizers.names()) {
    list.entries.emplace_back(name, quantizers.summary(name));
  }
  return list;
}

ComponentList importance_list(const ImportanceRegistry& importances) {
  ComponentList list{"importances", "prune_net --importance", {}};
  for (const auto& name : importances.names()) {
    list.entries.emplace_back(name, importances.summary(name));
  }
  return list;
}

ComponentList evaluator_component_list() {
  ComponentList list{"metrics", "TEST.METRIC", {}};
  for (const auto& info : evaluator_list()) {
    list.entries.emplace_back(info.name, info.summary);
  }
  return list;
}

ComponentList dataset_list() {
  ComponentList list{"datasets", "DATASETS.TRAIN, DATASETS.TEST", {}};
  const DatasetCatalog catalog;
  for (const auto& name : catalog.names()) {
    list.entries.emplace_back(name, catalog.summary(name));
  }
  return list;
}

ComponentList format_list() {
  ComponentList list{"formats", "DATASETS.DEFINE.*.FORMAT", {}};
  for (const auto& [name, format] : dataset_formats()) {
    list.entries.emplace_back(name, format.summary);
  }
  return list;
}

}  // namespace

Registries builtin_registries() {
  Registries registries;
  registries.heads = builtin_heads();
  register_quantizers(registries.quantizers);
  register_importances(registries.importances);
  return registries;
}

KnownNames known_names(const Registries& registries) {
  KnownNames known;
  known.detectors = {"SSDDetector"};
  for (const auto& [name, summary] : backbone_names()) {
    known.backbones.push_back(name);
  }
  known.heads = {"SSDBoxHead"};
  known.predictors = registries.heads.names();
  known.quantizers = registries.quantizers.names();
  for (const auto& [name, summary] : prune_scope_names()) {
    known.pruners.push_back(name);
  }
  for (const auto& [name, format] : dataset_formats()) {
    known.dataset_formats.push_back(name);
  }
  return known;
}

std::vector<ComponentList> list_components(const Registries& registries) {
  return {{"backbones", "MODEL.BACKBONE.NAME", backbone_names()},
          head_list(registries.heads),
          quantizer_list(registries.quantizers),
          {"pruners", "PRUNE.TYPE", prune_scope_names()},
          importance_list(registries.importances),
          evaluator_component_list(),
          format_list(),
          dataset_list()};
}

}  // namespace ssdq
