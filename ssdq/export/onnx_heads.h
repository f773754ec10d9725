#pragma once

#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/detection/priors.h"
#include "ssdq/export/onnx_file.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// What an ONNX detector gives; P priors, C classes of which 0 is the background.
enum class OnnxHeads {
  // "scores" [N, P, C], logits, and "boxes" [N, P, 4], regressions (dx, dy, dw, dh): what
  // Detector::forward gives.
  kRaw,
  // "scores" [N, P, C], softmax or sigmoid of them (MODEL.BOX_HEAD.SCORES), and "boxes" [N, P, 4],
  // corners (x1, y1, x2, y2) in
  // fractions of the image, not clipped: what suppression in PostProcessor works on.
  kDecoded,
  // "detections" [M, 7]: (image, class, score, x1, y1, x2, y2) after suppression with the
  // thresholds and limits of TEST, by falling score, boxes clipped to [0, 1].
  kDetections
};

// "raw", "decoded" or "detections". The latter throws ConfigError for another word.
const char* to_string(OnnxHeads heads);
OnnxHeads parse_onnx_heads(const std::string& word);

// The values of the Output nodes of one role, by level; `values` are those of the graph's nodes.
std::vector<std::string> maps_by_level(const Graph& graph, const std::vector<std::string>& values,
                                       OutputRole role);

// Adds the outputs after the maps of the graph's Output nodes; `values` are the names of the graph
// nodes' values, `batch` the size of the batch or its name.
void add_heads(OnnxBuilder& onnx, const Graph& graph, const std::vector<std::string>& values,
               const std::vector<CenterBox>& priors, const Config& config, OnnxHeads heads,
               const OnnxDim& batch);

}  // namespace ssdq
