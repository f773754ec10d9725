#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ssdq/checkpoint/state.h"

namespace ssdq {

// Parameters and buffers of a module and its children, module by module; they share storage with
// it.
State state(const torch::nn::Module& module);

// The same as copies of their own on the CPU.
State cpu_copy(const torch::nn::Module& module);

// What kept a state from fitting a module; all empty when it fits.
struct LoadReport {
  std::vector<std::string> missing;     // in the module, not in the state
  std::vector<std::string> unexpected;  // in the state, not in the module
  std::vector<std::string>
      mismatched;  // "name: [64, 3, 3, 3] in the file, [32, 3, 3, 3] in the model"

  bool fits() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
};

// Copies into `module` each tensor of `source` that has its name and shape there and reports the
// rest.
LoadReport load_state(torch::nn::Module& module, const State& source);

// As load_state, but copies nothing and throws Error naming `file` and the differences if any.
void load_state_strict(torch::nn::Module& module, const State& source, const std::string& file);

// One message for the user: the file, then a line for each kind of difference, at most eight names
// each.
std::string describe(const LoadReport& report, const std::string& file);

// Number of trainable values.
int64_t count_parameters(const torch::nn::Module& module);

// Lays all 4-d parameters out channels-last (NHWC), as convolutions on such images want them.
void to_channels_last(torch::nn::Module& module);

}  // namespace ssdq
