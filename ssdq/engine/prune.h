#pragma once

#include <string>
#include <vector>

#include "ssdq/config/reader.h"
#include "ssdq/engine/prune_report.h"
#include "ssdq/engine/pruner.h"
#include "ssdq/engine/registries.h"
#include "ssdq/engine/sweep_report.h"

namespace ssdq {

struct PruneJob {
  PruneOptions options;
  std::string output;  // folder to write into; empty: "pruned" in OUTPUT_DIR
  bool quick = false;  // evaluate masks, write nothing
  bool force = false;  // replace what is there
  int bn_batches = 0;  // of training images that estimate batch norms anew; 0: none
  // Program and arguments to which a configuration, weights and expected outputs are added, to read
  // the files again in another process (verify_pruned); empty: in this one.
  std::vector<std::string> verifier;
};

// The job of `prune_net`: removes the channels of a trained detector that matter least. Writes,
// each file whole, NAME_pruned.cfg, NAME_pruned.safetensors and NAME_pruned.yaml (NAME that of the
// configuration file), with which every tool goes on from there, report.json, report.md and
// kept_channels.png.
//
// Before it returns, the compact network is compared with the masked one (mask_state) on test
// images: raw outputs must agree to 1e-4 of the largest. Networks with quantizers are compared with
// these switched off, as one that takes its step from the weights at hand takes another from fewer
// of them (rescale_statistics() makes up for the scale); what difference remains is reported. Then
// the written files are read again and compared.
//
// Throws ConfigError for wrong options or files that exist, Error when a comparison fails.
PruneReport run_pruning(const LoadedConfig& loaded, const PruneJob& job, Registries& registries);

// Prunes by each of `percents`, without writing the networks, and evaluates: the curve of accuracy
// over cost. Writes sweep.md, sweep.json and sweep.png.
SweepReport run_prune_sweep(const LoadedConfig& loaded, const PruneJob& job,
                            const std::vector<double>& percents, Registries& registries);

}  // namespace ssdq
