#pragma once

#include "ssdq/engine/experiment.h"

namespace ssdq {

// The experiment of the first `keep` levels: the network of without_levels(), the first of the
// whole one's priors, and a configuration that gives both once its MODEL.BACKBONE.CFG names the
// text in graph_cfg. Beside the lists of levels (MODEL.PRIORS.*, MODEL.BACKBONE.OUT_CHANNELS) the
// configuration differs from the whole one's in
//   MODEL.BOX_HEAD.PREDICTOR  where it has another head on the last level: the registered predictor
//                             that gives the heads kept (SSDLiteFullBoxPredictor for
//                             SSDLiteBoxPredictor);
//   QUANTIZATION.POLICY       rules that name nodes of the other levels alone are left out;
//   QUANTIZATION.LAYERS       "marked" in place of "auto" when the last marked nodes are gone.
//
// Throws ConfigError when no registered predictor gives these heads, Error unless
// 1 <= keep <= levels.
Experiment first_levels(const Experiment& whole, int keep);

}  // namespace ssdq
