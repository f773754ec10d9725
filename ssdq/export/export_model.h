#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ssdq/checkpoint/state.h"
#include "ssdq/config/config.h"
#include "ssdq/detection/priors.h"
#include "ssdq/graph/graph.h"
#include "ssdq/modeling/detector.h"

namespace ssdq {

// A trained detector as exporters see it.
struct ExportModel {
  Config config;
  Graph graph;  // backbone and heads
  std::vector<CenterBox> priors;
  State state;                           // the weights to run it with
  std::vector<std::string> class_names;  // without the background; empty: not known
  std::string weights_file;              // for messages

  // A new network with these weights, quantized as `config` says, on the CPU in evaluation mode.
  std::function<Detector()> detector;
};

}  // namespace ssdq
