#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <torch/types.h>

#include "ssdq/checkpoint/state.h"

namespace ssdq {

// All a run needs to go on, bit for bit, and all a model needs to be rebuilt. A part that is empty
// is not written and comes back empty.
struct Checkpoint {
  State model;
  State optimizer;
  State ema;                           // averaged weights, named as in the model
  std::map<std::string, State> hooks;  // by hook name, which holds no dot
  torch::Tensor rng;                   // rng_state(); undefined: none
  int64_t iteration = 0;               // training steps completed
  std::string config_yaml;             // the resolved configuration
  std::string graph_cfg;               // the network, as cfg text
  std::map<std::string, std::string> extra;

  // Set by load_checkpoint for a safetensors file that SSDQ did not write, for PyTorch's .pth and
  // for ncnn's .param with the .bin beside it: `model` holds the tensors under their own names,
  // `extra` the metadata, the rest is empty.
  bool weights_only = false;
};

// Writes one safetensors file (docs/formats.md), as a whole or not at all; throws Error.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Throws Error with one sentence that says what the file looks like if it is damaged, of a newer
// version, or no checkpoint at all.
Checkpoint load_checkpoint(const std::string& path);

// load_checkpoint with tensors that have shape and type only (meta device): quick, and as thorough
// about the file's structure.
Checkpoint inspect_checkpoint(const std::string& path);

// The weights to run a model with: its averages where the checkpoint has them, else its plain
// values.
State inference_weights(const Checkpoint& checkpoint);

// The names that `extra` holds as "class_names", a line each; empty without.
std::vector<std::string> class_names(const Checkpoint& checkpoint);

// A checkpoint that holds inference_weights() as its model, configuration, graph and extra, and
// nothing that only training needs.
Checkpoint strip_for_inference(const Checkpoint& checkpoint);

// The state of LibTorch's default CPU generator, [n] bytes. Setting another LibTorch's state, or
// what is none, throws Error.
torch::Tensor rng_state();
void set_rng_state(const torch::Tensor& state);

}  // namespace ssdq
