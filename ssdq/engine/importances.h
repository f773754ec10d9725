#pragma once

#include <vector>

#include "ssdq/modeling/detector.h"
#include "ssdq/pruning/channel_groups.h"
#include "ssdq/utils/registry.h"

namespace ssdq {

struct Experiment;

// A trained detector whose channels want scores.
struct ChannelsToScore {
  Detector& detector;  // in evaluation mode, to be left as it was
  const Experiment& experiment;
  const ChannelUnits& units;
  const std::vector<ChannelGroup>& groups;
  int batches = 16;  // of DATASETS.TRAIN, for methods that read images
};

// How much channels matter: what `prune_net --importance` selects.
class ImportanceMethod {
 public:
  virtual ~ImportanceMethod() = default;

  // By unit, at least 0; units outside the groups get 0.
  virtual std::vector<double> scores(const ChannelsToScore& channels) const = 0;
};

class ImportanceRegistry : public Registry<ImportanceMethod> {
 public:
  ImportanceRegistry() : Registry("--importance") {}
};

// bn, l1, l2, fpgm, lamp, random (unit_scores) and taylor (taylor_scores).
void register_importances(ImportanceRegistry& registry);

}  // namespace ssdq
