#pragma once

#include <string>

#include "ssdq/config/reader.h"
#include "ssdq/engine/magnitude_report.h"
#include "ssdq/engine/registries.h"

namespace ssdq {

struct MagnitudePruneOptions {
  std::string weights;  // checkpoint
  std::string output;   // folder to write into; empty: "pruned" in OUTPUT_DIR
  double amount = 0.5;  // share of the convolution weights to set to 0, 0 <= amount < 1
  bool force = false;   // replace what is there
};

// The job of `prune_net --importance magnitude --granularity weight`, the simple baseline: the
// convolution weights nearest to 0 become 0 (prune_smallest_weights), the network stays as it is.
// Writes, each file whole, NAME_sparse.safetensors and NAME_sparse.yaml (NAME that of the
// configuration file), with which every tool goes on from there, report.json and report.md. What
// was written is read again and compared first.
//
// Throws ConfigError for wrong options or files that exist, Error when a comparison fails.
MagnitudeReport run_magnitude_pruning(const LoadedConfig& loaded,
                                      const MagnitudePruneOptions& options, Registries& registries);

}  // namespace ssdq
