#include "ssdq/engine/pruned_config.h"

#include <filesystem>

#include "ssdq/config/paths.h"
#include "ssdq/engine/teacher.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

// A relative place as a configuration elsewhere finds it too.
std::string anchored(const std::string& place, const std::string& config_file) {
  if (place.empty() || fs::exists(place)) {
    return place;
  }
  for (const auto& dir : dataset_search_dirs(config_file)) {
    if (const fs::path found = fs::path(dir) / place; fs::exists(found)) {
      return fs::absolute(found).lexically_normal().string();
    }
  }
  return place;
}

}  // namespace

Config pruned_config(const Experiment& experiment, const std::string& folder,
                     const std::string& cfg, const std::string& weights) {
  Config config = experiment.config;
  config.model.backbone.cfg = cfg;
  config.model.backbone.weights.clear();
  config.model.backbone.pretrained = false;
  config.model.weights = weights;
  config.model.reset.clear();
  config.model.allow_missing.clear();
  config.prune.type = "none";
  anchor_teacher(config.distillation, experiment.config_file);
  for (auto& [name, definition] : config.datasets.define) {
    definition.root = anchored(definition.root, experiment.config_file);
    definition.annotations = anchored(definition.annotations, experiment.config_file);
    definition.images = anchored(definition.images, experiment.config_file);
  }
  config.output_dir = (fs::absolute(folder).lexically_normal() / "train").string();
  return config;
}

}  // namespace ssdq
