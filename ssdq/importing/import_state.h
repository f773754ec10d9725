#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/checkpoint/state.h"
#include "ssdq/graph/graph.h"
#include "ssdq/importing/source.h"

namespace ssdq {

struct ImportOptions {
  std::string source;                        // empty: detect_source
  std::vector<std::string> allow_missing{};  // globs on names of the network's tensors
  std::vector<std::string> reset{};          // the same: not taken from the file
  bool backbone_only = false;                // leave heads, and what a classifier has not
};

// Names of tensors, those of the network but for `unexpected`.
struct ImportReport {
  std::vector<std::string> matched;     // "backbone.0.weight <- features.0.weight"
  std::vector<std::string> missing;     // the file has not: "backbone.0.bias (features.0.bias)"
  std::vector<std::string> unexpected;  // the file has, the network has no place for
  std::vector<std::string> reshaped;    // of another shape in the file, both shapes
  std::vector<std::string> allowed;     // missing, but allowed to be
  std::vector<std::string> reset;
  std::vector<std::string> unused;  // parts of a classifier that no detector has

  bool complete() const { return missing.empty() && unexpected.empty() && reshaped.empty(); }
};

// A line with the counts, then the first ten of each kind that speaks of a difference.
std::string describe(const ImportReport& report);

// The largest magnitude that the file's codes of a node's input stand for, by node name: codes are
// -(2^(bits - 1) - 1) .. 2^(bits - 1) - 1 steps of a quantized network.
using InputRanges = std::map<std::string, double>;

struct ImportedState {
  const ImportSource* source = nullptr;
  State tensors;  // float32, under the network's names
  ImportReport report;
  InputRanges input_ranges;
};

// Finds the tensors of the network that `graph` describes (without quantizers) in the state of
// another system, by name, and brings them into SSDQ's form:
//  - rows of heads in box-major order;
//  - the first convolution of a network for B, G, R takes R, G, B;
//  - a convolution's bias in front of a batch norm goes into the running mean;
//  - a batch norm that the network has not is folded into weight and bias; one that the file has
//    not becomes the identity plus the bias;
//  - a batch norm of another epsilon gets the running variance with the same output;
//  - of codes, the weights come dequantized ("<layer>.weight_scale" needs no place), and
//    "<layer>.input_scale" gives the input_ranges;
//  - fully connected layers of VGG become convolutions, every fourth row and third column kept.
// Throws Error when the source cannot be told, ConfigError when it is unknown; differences are left
// to the caller.
ImportedState import_state(const Graph& graph, const State& file, const ImportOptions& options);

// Throws Error with the report unless it is complete.
void check_complete(const ImportedState& imported, const std::string& path);

}  // namespace ssdq
