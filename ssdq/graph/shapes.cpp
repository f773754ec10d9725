#include <algorithm>
#include <string>
#include <type_traits>

#include <fmt/format.h>

#include "ssdq/graph/graph.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr int kMaxSide = 65536;

std::string text(Size2 size) { return fmt::format("{}x{}", size.height, size.width); }

std::string text(const Shape& shape) {
  return fmt::format("{}x{}", shape.channels, text(shape.size));
}

bool all_at_least(Size2 size, int least) { return std::min(size.height, size.width) >= least; }

int covered(int kernel, int dilation) { return dilation * (kernel - 1) + 1; }

// TensorFlow's SAME padding along one side, in all.
int same_total(int size, int extent, int stride) {
  const int outputs = (size + stride - 1) / stride;
  return std::max((outputs - 1) * stride + extent - size, 0);
}

// Windows of `extent` at `stride` over `size` padded on both sides; <= 0 when none fits.
int windows(int size, int extent, int stride, int padding, bool ceil_mode) {
  const int room = size + 2 * padding - extent;
  if (room < 0) {
    return 0;
  }
  int count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (count - 1) * stride >= size + padding) {
    --count;
  }
  return count;
}

class ShapeInference {
 public:
  explicit ShapeInference(const Graph& graph) : graph_(graph) {
    if (graph.nodes.empty() || !std::holds_alternative<Input>(graph.nodes[0].op)) {
      fail("the first node of a network must be its input");
    }
  }

  std::vector<Shape> run() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      node_ = &graph_.nodes[i];
      check_inputs(static_cast<NodeId>(i));
      shapes_.push_back(std::visit([this](const auto& op) { return shape(op); }, node_->op));
    }
    return std::move(shapes_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail_config("{}: {}", place(*node_), fmt::format(format, std::forward<Args>(args)...));
  }

  const Shape& in(std::size_t i = 0) const { return shapes_[node_->inputs[i]]; }

  void check_inputs(NodeId id) const {
    const bool many =
        std::holds_alternative<Add>(node_->op) || std::holds_alternative<Concat>(node_->op);
    const std::size_t least = std::holds_alternative<Input>(node_->op) ? 0
                              : std::holds_alternative<Add>(node_->op) ? 2
                                                                       : 1;
    const std::size_t count = node_->inputs.size();
    if (count < least || (count > least && !many)) {
      refuse("{} takes {}{} inputs, got {}", kind_name(node_->op), many ? "at least " : "", least,
             count);
    }
    if (std::holds_alternative<Input>(node_->op) && id != 0) {
      refuse("a network has one input only");
    }
    for (const NodeId input : node_->inputs) {
      if (input < 0 || input >= id) {
        refuse("node {} reads node {}, which does not come before it", id, input);
      }
    }
  }

  Size2 slide(Size2 extent, Size2 stride, Size2 padding, bool ceil_mode) const {
    const Size2 map = in().size;
    const Size2 out{windows(map.height, extent.height, stride.height, padding.height, ceil_mode),
                    windows(map.width, extent.width, stride.width, padding.width, ceil_mode)};
    if (!all_at_least(out, 1)) {
      refuse(
          "a window of {} pixels does not fit its {} input padded by {}; use a larger image, a "
          "smaller size or more pad",
          text(extent), text(map), text(padding));
    }
    return out;
  }

  Shape shape(const Input& op) const {
    if (op.channels < 1 || !all_at_least(op.size, 1)) {
      refuse("an image needs at least one channel and one pixel, got {}",
             text(Shape{op.channels, op.size}));
    }
    return {op.channels, op.size};
  }

  Shape shape(const Conv& op) const {
    if (op.out_channels < 1 || op.groups < 1 || !all_at_least(op.kernel, 1) ||
        !all_at_least(op.stride, 1) || !all_at_least(op.dilation, 1) ||
        !all_at_least(op.padding, 0)) {
      refuse("filters, groups, size, stride and dilation must be at least 1 and pad at least 0");
    }
    if (in().channels % op.groups != 0 || op.out_channels % op.groups != 0) {
      refuse("{} groups do not divide both {} input and {} output channels", op.groups,
             in().channels, op.out_channels);
    }
    if (op.same_padding) {
      const Size2 map = in().size;
      return {op.out_channels,
              {(map.height - 1) / op.stride.height + 1, (map.width - 1) / op.stride.width + 1}};
    }
    const Size2 extent{covered(op.kernel.height, op.dilation.height),
                       covered(op.kernel.width, op.dilation.width)};
    return {op.out_channels, slide(extent, op.stride, op.padding, false)};
  }

  Shape shape(const Pool& op) const {
    if (op.global) {
      return {in().channels, {1, 1}};
    }
    if (!all_at_least(op.kernel, 1) || !all_at_least(op.stride, 1) ||
        !all_at_least(op.padding, 0)) {
      refuse("size and stride must be at least 1 and pad at least 0");
    }
    if (2 * op.padding.height > op.kernel.height || 2 * op.padding.width > op.kernel.width) {
      refuse("pad {} is more than half of size {}", text(op.padding), text(op.kernel));
    }
    return {in().channels, slide(op.kernel, op.stride, op.padding, op.ceil_mode)};
  }

  Shape shape(const Add& /*op*/) const {
    for (std::size_t i = 1; i < node_->inputs.size(); ++i) {
      if (in(i).channels != in(0).channels || in(i).size != in(0).size) {
        refuse("adds {} ({}) to {} ({}); all inputs must have one shape", text(in(i)),
               graph_.nodes[node_->inputs[i]].name, text(in(0)),
               graph_.nodes[node_->inputs[0]].name);
      }
    }
    return in();
  }

  Shape shape(const Concat& /*op*/) const {
    int channels = 0;
    for (std::size_t i = 0; i < node_->inputs.size(); ++i) {
      channels += in(i).channels;
      if (in(i).size != in(0).size) {
        refuse("joins a {} map ({}) to a {} map ({}); all maps must have one size",
               text(in(i).size), graph_.nodes[node_->inputs[i]].name, text(in(0).size),
               graph_.nodes[node_->inputs[0]].name);
      }
    }
    return {channels, in().size};
  }

  Shape shape(const Upsample& op) const {
    if (op.factor < 1) {
      refuse("the factor must be at least 1, got {}", op.factor);
    }
    if (std::max(in().size.height, in().size.width) > kMaxSide / op.factor) {
      refuse("{} times a {} map is more than {} pixels a side", op.factor, text(in().size),
             kMaxSide);
    }
    return {in().channels, {in().size.height * op.factor, in().size.width * op.factor}};
  }

  Shape shape(const SqueezeExcite& op) const {
    if (op.squeeze_channels < 1) {
      refuse("squeeze must be at least 1, got {}", op.squeeze_channels);
    }
    return in();
  }

  Shape shape(const L2Norm& /*op*/) const { return in(); }

  Shape shape(const Output& /*op*/) const { return in(); }

  const Graph& graph_;
  const Node* node_ = nullptr;
  std::vector<Shape> shapes_;
};

}  // namespace

Padding padding_of(const Conv& conv, Size2 map) {
  if (!conv.same_padding) {
    return {conv.padding, conv.padding};
  }
  const Size2 total{
      same_total(map.height, covered(conv.kernel.height, conv.dilation.height), conv.stride.height),
      same_total(map.width, covered(conv.kernel.width, conv.dilation.width), conv.stride.width)};
  const Size2 before{total.height / 2, total.width / 2};
  return {before, {total.height - before.height, total.width - before.width}};
}

std::vector<Shape> infer_shapes(const Graph& graph) { return ShapeInference(graph).run(); }

}  // namespace ssdq
