#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ssdq/structures/size.h"

namespace ssdq {

// The network description: named nodes in topological order, one node for each block that a person
// would name and a kernel would fuse. A value type without tensors: copying a graph copies the
// network, comparing two compares them. Modules, reports, cost, pruning and export all read it.
//
// Sizes are {height, width}. Output sizes, padding and rounding are those of torch.nn with its
// defaults (TensorFlow's for a convolution with same_padding): convolutions and pools round down (a
// pool with ceil_mode rounds up, but starts no window in the padding behind the map), average pools
// count the padding, upsampling repeats pixels.
//
// Names: "input"; "backbone.<section index>" or "backbone.<name>" from a cfg file, and
// "backbone.<...>.l2_norm" for the L2Norm that feature=l2_norm hangs on it; "head.cls.<level>" and
// "head.box.<level>" (with ".dw" and ".pw" for SSDLite), each followed by an Output named "<its
// node>.out" ("head.cls.0.out").

enum class Activation { kLinear, kRelu, kRelu6, kLeaky, kHSwish, kSwish, kHSigmoid, kSigmoid };

struct BatchNorm {
  double eps = 1e-5;
  double momentum = 0.1;  // weight of the newest batch in the running statistics
};

struct Input {
  int channels = 3;
  Size2 size;  // pixels
};

// Dense, grouped or depthwise convolution with its optional batch norm and activation.
struct Conv {
  int out_channels = 0;
  int groups = 1;  // = in_channels = out_channels for depthwise
  Size2 kernel{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};
  bool same_padding = false;  // TensorFlow's SAME in place of `padding`: see padding_of
  bool bias = true;           // of the convolution itself; ignored when batch_norm is set
  std::optional<BatchNorm> batch_norm;
  Activation activation = Activation::kLinear;
  double leaky_slope = 0.1;
};

enum class PoolKind { kMax, kAverage };

struct Pool {
  PoolKind kind = PoolKind::kMax;
  bool global = false;  // the whole map; kernel, stride and padding are then unused
  Size2 kernel{2, 2}, stride{2, 2}, padding{0, 0};
  bool ceil_mode = false;
};

// Sum of two or more equally shaped inputs.
struct Add {
  Activation activation = Activation::kLinear;
  double leaky_slope = 0.1;
};

struct Concat {};  // along channels; with a single input the identity (a route to one layer)

struct Upsample {
  int factor = 2;  // nearest neighbour
};

// activation(x * gate(W2 * inner(W1 * mean_hw(x) + b1) + b2)), Hu et al., CVPR 2018.
// W1 is [squeeze, channels], W2 [channels, squeeze].
struct SqueezeExcite {
  int squeeze_channels = 0;
  Activation inner = Activation::kRelu;
  Activation gate = Activation::kSigmoid;
  Activation activation = Activation::kLinear;
};

// scale[c] * x / |x|, |x| the L2 norm over the channels at each pixel plus 1e-10; one learned scale
// for each channel (ParseNet, Liu et al., 2015).
struct L2Norm {
  double initial_scale = 20;
};

enum class OutputRole { kClass, kBox };

// What the detector collects: raw head maps [N, boxes * values, H, W] of one level.
struct Output {
  OutputRole role = OutputRole::kClass;
  int level = 0;
};

using Op = std::variant<Input, Conv, Pool, Add, Concat, Upsample, SqueezeExcite, L2Norm, Output>;

// Per-node wish of the cfg; what is not set follows the config's QUANTIZATION section.
struct QuantizationSpec {
  std::optional<bool> enabled;
  std::optional<int> wbits, abits;
};

// Where a node comes from, for messages: "configs/x.cfg:12" or "head".
struct Origin {
  std::string file;
  int line = 0;
};

using NodeId = int;  // index into Graph::nodes

struct Node {
  std::string name;  // unique, dotted; prefix of its tensors, key in policies and reports
  Op op;
  std::vector<NodeId> inputs;  // earlier nodes only
  QuantizationSpec quantization;
  bool backbone = false;  // belongs to the part that a pre-trained classifier covers
  Origin origin;
};

struct Graph {
  std::vector<Node> nodes;       // nodes[0] is the only Input
  std::vector<NodeId> features;  // tapped maps, in level order

  // Throws Error if there is no such node.
  NodeId find(const std::string& name) const;
};

// Origins do not count, nor attributes without effect (a bias under a batch norm, the slope of an
// activation other than leaky, the kernel of a global pool, the padding under same_padding).
bool operator==(const Graph& a, const Graph& b);
bool operator!=(const Graph& a, const Graph& b);

// [channels, height, width] of a node's output.
struct Shape {
  int channels = 0;
  Size2 size;
};

// Shapes of all nodes, in node order. Throws ConfigError naming file, line and both numbers when an
// operator cannot take its input (kernel larger than the padded map, unequal adds, groups that do
// not divide, an empty output).
std::vector<Shape> infer_shapes(const Graph& graph);

// Zeros around a map, in pixels.
struct Padding {
  Size2 before, after;  // above and on the left; below and on the right
};

// Of a convolution whose input is `map` large. `padding` on both sides; with same_padding, along
// each side, in all as much as gives ceil(map / stride) outputs,
// max((outputs - 1) stride + dilation (kernel - 1) + 1 - map, 0), the odd pixel of it behind.
Padding padding_of(const Conv& conv, Size2 map);

const char* to_string(Activation activation);  // the cfg word

// "input", "conv", "depthwise", "max_pool", "avg_pool", "add", "concat", "upsample",
// "squeeze_excite", "l2_norm", "output". Depthwise: as many groups, more than one, as outputs.
const char* kind_name(const Op& op);

// "file:line: name", "file: name" or "name": how messages about a node begin.
std::string place(const Node& node);

}  // namespace ssdq
