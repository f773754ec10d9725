#pragma once

#include <string>

#include "ssdq/config/reader.h"
#include "ssdq/engine/prune_report.h"
#include "ssdq/engine/registries.h"
#include "ssdq/pruning/importance.h"

namespace ssdq {

struct PruneOptions {
  std::string weights;  // checkpoint
  std::string output;   // folder to write into; empty: "pruned" in OUTPUT_DIR
  std::string scope;    // normal, shortcut, all; empty: PRUNE.TYPE, normal when that is none
  Importance importance = Importance::kBatchNorm;
  SelectionOptions selection;
  bool compensate = true;
  bool quick = false;  // evaluate masks, write nothing
  bool force = false;  // replace what is there
};

// The job of `prune_net`: removes the channels of a trained detector that matter least. Writes,
// each file whole, NAME_pruned.cfg, NAME_pruned.safetensors and NAME_pruned.yaml (NAME that of the
// configuration file), with which every tool goes on from there, report.json and report.md.
//
// Before it returns, the compact network is compared with the masked one (mask_state) on test
// images: raw outputs must agree to 1e-4 of the largest. Networks with quantizers are compared with
// these switched off, as one that takes its step from the weights at hand takes another from fewer
// of them (rescale_statistics() makes up for the scale); what difference remains is reported. Then
// the written files are read again and compared.
//
// Throws ConfigError for wrong options or files that exist, Error when a comparison fails.
PruneReport run_pruning(const LoadedConfig& loaded, const PruneOptions& options,
                        Registries& registries);

}  // namespace ssdq
