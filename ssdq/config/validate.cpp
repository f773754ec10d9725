#include "ssdq/config/validate.h"

#include <utility>

#include <fmt/format.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

// Collects broken rules. Each rule is a member function with the name of what must hold.
class Validator {
 public:
  Validator(const Config& config, const Origins& origins) : config_(config), origins_(origins) {}

  void names_are_known(const KnownNames& known) {
    name_is_known("MODEL.META_ARCHITECTURE", config_.model.meta_architecture, known.detectors);
    name_is_known("MODEL.BACKBONE.NAME", config_.model.backbone.name, known.backbones);
    name_is_known("MODEL.BOX_HEAD.NAME", config_.model.box_head.name, known.heads);
    name_is_known("MODEL.BOX_HEAD.PREDICTOR", config_.model.box_head.predictor, known.predictors);
    name_is_known("PRUNE.TYPE", config_.prune.type, known.pruners, true);
    name_is_known("QUANTIZATION.TYPE", config_.quantization.type, known.quantizers, true);
    const std::vector<QuantizationRule>& rules = config_.quantization.policy;
    for (size_t i = 0; i < rules.size(); ++i) {
      const std::string key = fmt::format("QUANTIZATION.POLICY[{}].TYPE", i);
      if (rules[i].type == "none") {
        add({key}, key + " is none; write SKIP: true to leave nodes in float");
      } else if (rules[i].type) {
        name_is_known(key, *rules[i].type, known.quantizers);
      }
    }
    for (const auto& [name, definition] : config_.datasets.define) {
      const std::string key = "DATASETS.DEFINE." + name;
      if (definition.format.empty()) {
        add({key}, fmt::format("{} has no FORMAT", key));
      } else {
        name_is_known(key + ".FORMAT", definition.format, known.dataset_formats);
      }
    }
  }

  // Every list of levels is as long as MIN_SIZES.
  void levels_agree() {
    const PriorsConfig& c = config_.model.priors;
    if (c.min_sizes.empty())
      add({"MODEL.PRIORS.MIN_SIZES"},
          "MODEL.PRIORS.MIN_SIZES is empty; expected an entry for each level");
    level_count("MODEL.PRIORS.STRIDES", c.strides.size(), false);
    level_count("MODEL.PRIORS.MAX_SIZES", c.max_sizes.size(), true);
    level_count("MODEL.PRIORS.ASPECT_RATIOS", c.aspect_ratios.size(), false);
    level_count("MODEL.PRIORS.BOXES_PER_LOCATION", c.boxes_per_location.size(), false);
    level_count("MODEL.PRIORS.FEATURE_MAPS", c.feature_maps.size(), true);
    level_count("MODEL.BACKBONE.OUT_CHANNELS", config_.model.backbone.out_channels.size(), true);
  }

  void boxes_per_location_match_shapes() {
    const PriorsConfig& c = config_.model.priors;
    const size_t levels = c.min_sizes.size();
    if (c.aspect_ratios.size() != levels || c.boxes_per_location.size() != levels) return;
    for (size_t i = 0; i < levels; ++i) {
      const bool has_max = i < c.max_sizes.size() && c.max_sizes[i] > 0;
      const size_t sizes = c.min_sizes[i].size();
      const size_t ratios = c.aspect_ratios[i].size();
      const size_t boxes = sizes * (1 + (has_max ? 1 : 0) + 2 * ratios);
      if (static_cast<size_t>(c.boxes_per_location[i]) == boxes) continue;
      add({"MODEL.PRIORS.BOXES_PER_LOCATION", "MODEL.PRIORS.ASPECT_RATIOS",
           "MODEL.PRIORS.MIN_SIZES"},
          fmt::format("MODEL.PRIORS.BOXES_PER_LOCATION[{}] is {}, but the level has {} boxes ({} x "
                      "(1{} + 2 x {} ASPECT_RATIOS))",
                      i, c.boxes_per_location[i], boxes, sizes, has_max ? " + 1 for MAX_SIZES" : "",
                      ratios));
    }
  }

  void pixel_statistics_match_channels() {
    const InputConfig& c = config_.input;
    const auto check = [&](const char* name, size_t count) {
      if (count == static_cast<size_t>(c.channels)) return;
      const std::string key = std::string("INPUT.") + name;
      add({key, "INPUT.CHANNELS"},
          fmt::format("{} has {} numbers, but INPUT.CHANNELS is {}", key, count, c.channels));
    };
    check("PIXEL_MEAN", c.pixel_mean.size());
    check("PIXEL_STD", c.pixel_std.size());
  }

  void lr_steps_increase() {
    const std::vector<int64_t>& steps = config_.solver.lr_steps;
    for (size_t i = 1; i < steps.size(); ++i) {
      if (steps[i] > steps[i - 1]) continue;
      add({"SOLVER.LR_STEPS"},
          fmt::format("SOLVER.LR_STEPS must increase, got {} after {}", steps[i], steps[i - 1]));
      return;
    }
  }

  // Ranges must be observed until fake quantization starts.
  void observation_outlasts_the_start() {
    const QuantizationConfig& c = config_.quantization;
    if (c.stop_observing_iter < 0 || c.stop_observing_iter >= c.start_iter) return;
    add({"QUANTIZATION.STOP_OBSERVING_ITER", "QUANTIZATION.START_ITER"},
        fmt::format("QUANTIZATION.STOP_OBSERVING_ITER is {}, before START_ITER, {}; ranges must be "
                    "observed until quantization starts",
                    c.stop_observing_iter, c.start_iter));
  }

  void progressive_widths_fall() {
    const std::vector<WidthStage>& stages = config_.quantization.progressive;
    const auto problem = [&](size_t i, const char* what, int64_t now, int64_t before) {
      add({"QUANTIZATION.PROGRESSIVE"},
          fmt::format("QUANTIZATION.PROGRESSIVE: {}, got {} after {} in entry {}", what, now,
                      before, i));
    };
    for (size_t i = 1; i < stages.size(); ++i) {
      const WidthStage &a = stages[i - 1], &b = stages[i];
      if (b.iteration <= a.iteration)
        return problem(i, "iterations must increase", b.iteration, a.iteration);
      if (b.wbits > a.wbits) return problem(i, "weight widths must not grow", b.wbits, a.wbits);
      if (b.abits > a.abits) return problem(i, "activation widths must not grow", b.abits, a.abits);
    }
  }

  void a_teacher_is_imitated() {
    const DistillationConfig& c = config_.distillation;
    if (c.config_file.empty() && !c.weights.empty()) {
      add({"DISTILLATION.WEIGHTS"},
          "DISTILLATION.WEIGHTS is set, but CONFIG_FILE is not; expected the configuration of the "
          "teacher");
    }
    if (!c.config_file.empty() && c.logits == 0 && c.boxes == 0 && c.features == 0) {
      add({"DISTILLATION.LOGITS", "DISTILLATION.BOXES", "DISTILLATION.CONFIG_FILE"},
          "DISTILLATION: LOGITS, BOXES and FEATURES are 0, so nothing of the teacher is imitated; "
          "leave CONFIG_FILE out or give one of them a weight");
    }
  }

  void finish() const {
    if (!problems_.empty()) throw ConfigError(join(problems_, "\n"));
  }

 private:
  void name_is_known(const std::string& key, const std::string& name,
                     const std::vector<std::string>& known, bool may_be_none = false) {
    if (known.empty() || (may_be_none && name == "none")) return;
    for (const std::string& candidate : known) {
      if (to_lower(candidate) == to_lower(name)) return;
    }
    std::vector<std::string> names = known;
    if (may_be_none) names.emplace_back("none");
    add({key}, fmt::format("{}: unknown name '{}'{}", key, name, suggestion(name, names)));
  }

  void level_count(const std::string& key, size_t count, bool may_be_empty) {
    const size_t levels = config_.model.priors.min_sizes.size();
    if (levels == 0 || count == levels || (count == 0 && may_be_empty)) return;
    add({key, "MODEL.PRIORS.MIN_SIZES"},
        fmt::format("{} has {} {}, but MODEL.PRIORS.MIN_SIZES has {}; they must have one for each "
                    "feature map",
                    key, count, count == 1 ? "entry" : "entries", levels));
  }

  // The place of the first of `keys` that the user set.
  void add(const std::vector<std::string>& keys, const std::string& what) {
    for (const std::string& key : keys) {
      const auto origin = origins_.find(key);
      if (origin == origins_.end() || origin->second == "default") continue;
      problems_.push_back(origin->second + ": " + what);
      return;
    }
    problems_.push_back("defaults: " + what);
  }

  const Config& config_;
  const Origins& origins_;
  std::vector<std::string> problems_;
};

}  // namespace

void validate(const Config& config, const Origins& origins, const KnownNames& known) {
  Validator validator(config, origins);
  validator.names_are_known(known);
  validator.levels_agree();
  validator.boxes_per_location_match_shapes();
  validator.pixel_statistics_match_channels();
  validator.lr_steps_increase();
  validator.observation_outlasts_the_start();
  validator.progressive_widths_fall();
  validator.a_teacher_is_imitated();
  validator.finish();
}

}  // namespace ssdq
