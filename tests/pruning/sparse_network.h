#pragma once

#include <torch/torch.h>

#include "random_network.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/detector.h"

namespace ssdq::testing {

// A stem (node 0, 4 channels) and the inverted residual added to it (1 and 2 with 8, 3 with 4
// channels), a convolution without batch norm, a last one (6, 6 channels) that the heads read.
inline Detector sparse_network() {
  constexpr const char* kCfg =
      "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
      "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\nactivation=relu6\n"
      "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n"
      "[convolutional]\nfilters=4\nsize=1\nbatch_normalize=1\n"
      "[shortcut]\nfrom=-4\n"
      "[convolutional]\nfilters=5\nsize=1\nactivation=relu\n"
      "[convolutional]\nfilters=6\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
      "feature=linear\nfeature_idx=0\n";
  Graph graph = parse_cfg(kCfg, "net.cfg", {8, 8});
  append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {2}, 3});
  torch::manual_seed(5);
  Detector made(graph, 3, QuantizationMethods{}, QuantizationConfig{});
  randomize(*made);
  return made;
}

}  // namespace ssdq::testing
