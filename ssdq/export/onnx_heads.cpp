#include "ssdq/export/onnx_heads.h"

#include <algorithm>
#include <utility>

#include "ssdq/detection/candidates.h"
#include "ssdq/export/onnx_suppression.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

// Maps [N, A * width, H, W] of all levels -> [N, P, width], a row for each prior.
std::string location_major(OnnxBuilder& onnx, const std::string& name,
                           const std::vector<std::string>& maps, int64_t width) {
  const auto shape = onnx.int64s(name + "/shape", {3}, {0, -1, width});
  std::vector<std::string> rows;
  for (size_t i = 0; i < maps.size(); ++i) {
    const std::string level = name + "/" + std::to_string(i);
    const auto last = onnx.node("Transpose", level + "/nhwc", {maps[i]},
                                {OnnxAttribute::integers("perm", {0, 2, 3, 1})});
    rows.push_back(onnx.node("Reshape", maps.size() == 1 ? name : level, {last, shape}));
  }
  return maps.size() == 1
             ? rows[0]
             : onnx.node("Concat", name, std::move(rows), {OnnxAttribute::integer("axis", 1)});
}

// Regressions [N, P, 4] -> corners [N, P, 4], in the order of operations of box_coder.h.
std::string decoded(OnnxBuilder& onnx, const std::string& name, const std::string& regressions,
                    const std::vector<CenterBox>& priors, const ModelConfig& model) {
  std::vector<float> centers, sizes;
  for (const CenterBox& prior : priors) {
    centers.insert(centers.end(), {prior.cx, prior.cy});
    sizes.insert(sizes.end(), {prior.w, prior.h});
  }
  const auto count = static_cast<int64_t>(priors.size());
  const auto center = onnx.floats("priors/center", {1, count, 2}, centers);
  const auto size = onnx.floats("priors/size", {1, count, 2}, sizes);
  const auto axis = onnx.int64s(name + "/axis", {1}, {2});
  const auto zero = onnx.int64s(name + "/0", {1}, {0});
  const auto two = onnx.int64s(name + "/2", {1}, {2});
  const auto four = onnx.int64s(name + "/4", {1}, {4});

  const auto shift = onnx.node("Slice", name + "/shift", {regressions, zero, two, axis});
  const auto scaled_shift =
      onnx.node("Mul", name + "/scaled_shift",
                {shift, onnx.scalar("priors/center_variance", model.center_variance)});
  const auto offset = onnx.node("Mul", name + "/offset", {scaled_shift, size});
  const auto middle = onnx.node("Add", name + "/middle", {offset, center});

  const auto growth = onnx.node("Slice", name + "/growth", {regressions, two, four, axis});
  const auto scaled_growth =
      onnx.node("Mul", name + "/scaled_growth",
                {growth, onnx.scalar("priors/size_variance", model.size_variance)});
  const auto factor = onnx.node("Exp", name + "/factor", {scaled_growth});
  const auto extent = onnx.node("Mul", name + "/extent", {factor, size});
  const auto half = onnx.node("Mul", name + "/half", {extent, onnx.scalar(name + "/0.5", 0.5)});

  const auto least = onnx.node("Sub", name + "/least", {middle, half});
  const auto greatest = onnx.node("Add", name + "/greatest", {middle, half});
  return onnx.node("Concat", name, {least, greatest}, {OnnxAttribute::integer("axis", 2)});
}

}  // namespace

const char* to_string(OnnxHeads heads) {
  return heads == OnnxHeads::kRaw ? "raw" : heads == OnnxHeads::kDecoded ? "decoded" : "detections";
}

OnnxHeads parse_onnx_heads(const std::string& word) {
  for (const OnnxHeads heads : {OnnxHeads::kRaw, OnnxHeads::kDecoded, OnnxHeads::kDetections}) {
    if (word == to_string(heads)) {
      return heads;
    }
  }
  fail_config("--outputs: unknown word '{}'{}", word,
              suggestion(word, {"raw", "decoded", "detections"}));
}

std::vector<std::string> maps_by_level(const Graph& graph, const std::vector<std::string>& values,
                                       OutputRole role) {
  std::vector<std::pair<int, std::string>> found;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto* output = std::get_if<Output>(&graph.nodes[i].op);
    if (output != nullptr && output->role == role) {
      found.emplace_back(output->level, values[i]);
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> maps;
  for (auto& entry : found) {
    maps.push_back(std::move(entry.second));
  }
  return maps;
}

void add_heads(OnnxBuilder& onnx, const Graph& graph, const std::vector<std::string>& values,
               const std::vector<CenterBox>& priors, const Config& config, OnnxHeads heads,
               const OnnxDim& batch) {
  const int64_t classes = config.model.num_classes;
  const auto count = static_cast<int64_t>(priors.size());
  const bool raw = heads == OnnxHeads::kRaw;
  const auto logits = location_major(onnx, raw ? "scores" : "logits",
                                     maps_by_level(graph, values, OutputRole::kClass), classes);
  const auto regressions = location_major(onnx, raw ? "boxes" : "regressions",
                                          maps_by_level(graph, values, OutputRole::kBox), 4);
  std::string scores = logits;
  std::string boxes = regressions;
  if (!raw) {
    scores = score_function(config.model.box_head) == ScoreFunction::kSigmoid
                 ? onnx.node("Sigmoid", "scores", {logits})
                 : onnx.node("Softmax", "scores", {logits}, {OnnxAttribute::integer("axis", 2)});
    boxes = decoded(onnx, "boxes", regressions, priors, config.model);
  }
  if (heads == OnnxHeads::kDetections) {
    const auto detections =
        add_suppression(onnx, scores, boxes, {count, classes, batch, config.test});
    onnx.output(detections, OnnxType::kFloat, {"num_detections", int64_t{7}});
    return;
  }
  onnx.output(scores, OnnxType::kFloat, {batch, count, classes});
  onnx.output(boxes, OnnxType::kFloat, {batch, count, int64_t{4}});
}

}  // namespace ssdq
