#include "ssdq/engine/importances.h"

#include <memory>

#include "ssdq/engine/experiment.h"
#include "ssdq/engine/taylor.h"
#include "ssdq/pruning/importance.h"

namespace ssdq {
namespace {

class OfWeights : public ImportanceMethod {
 public:
  explicit OfWeights(Importance importance) : importance_(importance) {}

  std::vector<double> scores(const ChannelsToScore& channels) const override {
    return unit_scores(*channels.detector, channels.units, channels.groups, importance_,
                       static_cast<uint64_t>(channels.experiment.config.seed));
  }

 private:
  Importance importance_;
};

class OfGradients : public ImportanceMethod {
 public:
  std::vector<double> scores(const ChannelsToScore& channels) const override {
    return taylor_scores(channels.detector, channels.experiment, channels.units, channels.groups,
                         channels.batches);
  }
};

}  // namespace

void register_importances(ImportanceRegistry& registry) {
  const auto add = [&](Importance importance, const char* summary) {
    registry.add(to_string(importance), summary,
                 [importance] { return std::make_shared<OfWeights>(importance); });
  };
  add(Importance::kBatchNorm, "batch-norm scales (Liu et al., 2017)");
  add(Importance::kL1, "L1 norms of filters (Li et al., 2017)");
  add(Importance::kL2, "L2 norms of filters");
  add(Importance::kFpgm, "distances between filters (He et al., 2019)");
  add(Importance::kLamp, "L2 norms over those of the filters kept beside (Lee et al., 2021)");
  add(Importance::kRandom, "by SEED, the baseline");
  registry.add("taylor", "first-order change of the loss (Molchanov et al., 2019)",
               [] { return std::make_shared<OfGradients>(); });
}

}  // namespace ssdq
