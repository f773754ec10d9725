#pragma once

#include <string>
#include <vector>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/graph/graph.h"
#include "ssdq/importing/import_state.h"

namespace ssdq {

// The checkpoint's weights for a detector of that graph: its own as they are, another system's
// brought into SSDQ's names and form, strictly, with a line in the log. `backbone_only` asks for
// the backbone's tensors alone, of a classifier for those that it has. Throws Error.
State weights_for(const Graph& graph, const Checkpoint& checkpoint, const std::string& path,
                  bool backbone_only);

// Whether some tensor bears a name of the network.
bool is_own_state(const Graph& graph, const State& state);

}  // namespace ssdq
