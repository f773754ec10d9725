#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq {

// The prediction heads of a detector, one pair (classes, boxes) for each feature of the backbone.
struct HeadSpec {
  std::string predictor = "SSDBoxPredictor";
  std::vector<int> boxes_per_location;  // of each level
  int num_classes = 21;                 // background included
};

struct HeadBuilder {
  std::string name;
  std::string summary;  // one line for lists
  std::function<void(Graph&, const HeadSpec&)> append;
};

// Predictors by name. A project adds its own before it builds a detector; its `append` adds nodes
// and, for each level, an Output of role class with boxes * num_classes channels and one of role
// box with boxes * 4, box-major: channel = box * values + value.
class HeadRegistry {
 public:
  // Throws Error if the name is taken.
  void add(HeadBuilder builder);
  // Throws ConfigError listing the known names.
  const HeadBuilder& find(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  std::map<std::string, HeadBuilder> builders_;
};

// Holds SSDBoxPredictor, a 3x3 convolution for each level and role ("head.cls.<level>",
// "head.box.<level>"), and predictors of a depthwise 3x3 convolution ("....dw") and a 1x1
// convolution ("....pw"): SSDLiteBoxPredictor (batch norm and ReLU6 between them; on the last level
// the 1x1 convolution alone), SSDLiteFullBoxPredictor (both on every level),
// SSDLiteFoldedBoxPredictor (the same with a bias in place of batch norm), SSDLiteReluBoxPredictor
// (bias and ReLU; on the last level the 1x1 convolution alone), SeparableBoxPredictor (bias and
// ReLU; on the last level as SSDBoxPredictor) and SeparableFullBoxPredictor (bias and ReLU, both
// convolutions on every level). All predictions have a bias.
HeadRegistry builtin_heads();

// Appends the predictor's nodes. Throws ConfigError if the predictor is unknown or the list lengths
// disagree.
void append_heads(const HeadRegistry& heads, Graph& graph, const HeadSpec& spec);

}  // namespace ssdq
