#include "ssdq/graph/describe.h"

#include <fmt/format.h>

namespace ssdq {
namespace {

std::string sides(Size2 size) { return fmt::format("{}x{}", size.height, size.width); }

std::string stride(Size2 size) {
  if (size == Size2{1, 1}) return "";
  return size.height == size.width ? fmt::format(" /{}", size.height) : " /" + sides(size);
}

std::string activation(Activation kind) {
  return kind == Activation::kLinear ? "" : fmt::format(" {}", to_string(kind));
}

struct Words {
  std::string operator()(const Input& op) const {
    return fmt::format("image of {} channels", op.channels);
  }
  std::string operator()(const Conv& op) const {
    std::string text = fmt::format("{} {}", kind_name(op), sides(op.kernel)) + stride(op.stride);
    if (op.groups > 1 && op.groups != op.out_channels) text += fmt::format(" g{}", op.groups);
    if (op.dilation != Size2{1, 1}) text += fmt::format(" d{}", op.dilation.height);
    return text + (op.batch_norm ? " bn" : "") + activation(op.activation);
  }
  std::string operator()(const Pool& op) const {
    return op.global ? fmt::format("{} of the map", kind_name(op))
                     : fmt::format("{} {}", kind_name(op), sides(op.kernel)) + stride(op.stride);
  }
  std::string operator()(const Add& op) const { return "add" + activation(op.activation); }
  std::string operator()(const Concat& op) const { return kind_name(op); }
  std::string operator()(const Upsample& op) const {
    return fmt::format("upsample x{}", op.factor);
  }
  std::string operator()(const SqueezeExcite& op) const {
    return fmt::format("squeeze_excite {}", op.squeeze_channels) + activation(op.activation);
  }
  std::string operator()(const L2Norm& op) const { return kind_name(op); }
  std::string operator()(const Output& op) const {
    return fmt::format("{} of level {}", op.role == OutputRole::kClass ? "classes" : "boxes",
                       op.level);
  }
};

}  // namespace

std::string describe(const Op& op) { return std::visit(Words{}, op); }

std::string to_string(const Shape& shape) {
  return fmt::format("{}x{}", shape.channels, sides(shape.size));
}

}  // namespace ssdq
