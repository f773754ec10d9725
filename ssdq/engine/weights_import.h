#pragma once

#include <string>
#include <vector>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/graph/graph.h"
#include "ssdq/importing/import_state.h"

namespace ssdq {

// Which tensors of a checkpoint are asked for.
struct WeightsRequest {
  bool backbone_only = false;              // of a classifier those that it has
  std::vector<std::string> allow_missing;  // globs
  std::vector<std::string> reset;          // globs: left out
};

// The checkpoint's weights for a detector of that graph: its own as they are, another system's
// brought into SSDQ's names and form, strictly, with a line in the log. Throws Error.
State weights_for(const Graph& graph, const Checkpoint& checkpoint, const std::string& path,
                  const WeightsRequest& request);

// Whether some tensor bears a name of the network.
bool is_own_state(const Graph& graph, const State& state);

}  // namespace ssdq
