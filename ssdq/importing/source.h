#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ssdq/checkpoint/state.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// Where another system keeps the layers of one node, as names of its modules ("features.0" holds
// "features.0.weight"). Convolution: `first`, and its batch norm `second` where that system may
// have one. Squeeze-excite: the convolutions squeeze and excite. L2Norm: `first` is the tensor.
struct LayerNames {
  std::string first, second;
};

using NameMap = std::map<std::string, LayerNames>;  // by node name
using FileNames = std::set<std::string>;

// A tensor by which the files of a source are known.
struct SourceMark {
  std::string name;
  std::vector<int64_t> shape = {};  // empty: any
  bool absent = false;              // the files do not have it
};

// What a network wants: (x - mean) / std of RGB values in 0..255.
struct InputScaling {
  std::array<double, 3> mean, std;
};

// A system whose weights can be read, with one of its networks.
struct ImportSource {
  std::string name;                            // for --source
  std::string summary;                         // a line
  std::vector<std::vector<SourceMark>> marks;  // a file has all of one of these lists
  // Names of the layers of all nodes that the source knows; `names` tells its variants apart.
  NameMap (*map)(const Graph& graph, const FileNames& names);
  bool classifier = false;         // has the nodes marked `backbone` only
  bool value_major_heads = false;  // head channel = value * boxes + box, not box * values + value
  double bn_eps = 1e-5;            // of its batch norms
  std::vector<std::string> unused{};  // globs of tensors that a detector has no place for
  std::optional<InputScaling> input{};
  bool bgr = false;  // its first convolution takes the channels as B, G, R
};

const std::vector<ImportSource>& import_sources();

// Throws ConfigError that lists the known names.
const ImportSource& find_import_source(const std::string& name);

// The source whose marks the file has. Throws Error that lists the sources when none or several
// fit.
const ImportSource& detect_source(const State& file);

}  // namespace ssdq
