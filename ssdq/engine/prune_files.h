#pragma once

#include <string>
#include <vector>

#include <torch/types.h>

#include "ssdq/checkpoint/state.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"

namespace ssdq {

// What pruning writes.
struct PruneFiles {
  std::string folder, cfg, weights, yaml, json, markdown, chart;

  std::vector<std::string> all() const { return {cfg, weights, yaml, json, markdown, chart}; }
};

std::string default_prune_folder(const Config& config);

// Throws ConfigError that tells of --force when one of them exists.
void refuse_existing(const std::vector<std::string>& files);

// Throws ConfigError when the folder could not be made or written into; makes nothing.
void check_writable_folder(const std::string& folder);

// Names in `folder` after the configuration file.
PruneFiles prune_files(const std::string& folder, const std::string& config_file);

// Builds a detector from the files alone and compares its raw outputs with those that the file
// `expected` gives for its images. Throws Error when they differ by more than 1e-4 of the largest.
void verify_pruned(const std::string& yaml, const std::string& weights, const std::string& expected,
                   Registries& registries);

// A pruned network.
struct PrunedNetwork {
  const Experiment& experiment;
  const State& values;
  const std::string& class_names;  // one a line
};

// Writes its weights, with configuration and network inside, and the configuration; each file
// whole.
void write_network(const std::string& weights, const std::string& yaml,
                   const PrunedNetwork& network);

// Of a checkpoint, one a line.
std::string class_names_in(const std::string& weights);

// Writes cfg, weights and yaml into a hidden folder in files.folder, has them read again there and
// compared with the network in memory on `images` (verify_pruned; by the program `verifier` of
// PruneJob or, when that is empty, in this process), and only then gives them their names.
void write_verified(const PruneFiles& files, const PrunedNetwork& network,
                    const torch::Tensor& images, const std::vector<std::string>& verifier,
                    Registries& registries);

}  // namespace ssdq
