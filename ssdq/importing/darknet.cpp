#include "ssdq/importing/darknet.h"

#include <torch/torch.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

class Values {
 public:
  explicit Values(torch::Tensor values) : values_(std::move(values)) {}

  bool at_end() const { return next_ == values_.numel(); }
  int64_t left() const { return values_.numel() - next_; }

  torch::Tensor take(const Node& node, const std::vector<int64_t>& shape) {
    const int64_t count = c10::multiply_integers(shape);
    SSDQ_CHECK(count <= left(),
               "the file ends within {}: {} more values, {} were expected; is it of another cfg?",
               place(node), left(), count);
    next_ += count;
    return values_.slice(0, next_ - count, next_).view(shape);
  }

 private:
  torch::Tensor values_;
  int64_t next_ = 0;
};

void take_conv(Values& values, const Node& node, const Conv& conv, int64_t in, State& named) {
  const int64_t out = conv.out_channels;
  if (conv.batch_norm) {
    for (const char* tensor : {"bias", "weight", "running_mean", "running_var"}) {
      named.emplace_back(node.name + ".bn." + tensor, values.take(node, {out}));
    }
    const auto& variance = named.back().second;
    SSDQ_CHECK(torch::isfinite(variance).all().item<bool>() && variance.min().item<float>() >= 0,
               "{}: the running variance reaches from {} to {}; expected numbers from 0 on: is the "
               "file of another cfg?",
               place(node), variance.min().item<float>(), variance.max().item<float>());
  } else if (conv.bias) {
    named.emplace_back(node.name + ".bias", values.take(node, {out}));
  }
  named.emplace_back(
      node.name + ".weight",
      values.take(node, {out, in / conv.groups, conv.kernel.height, conv.kernel.width}));
}

}  // namespace

State name_darknet_values(const Graph& graph, const State& file, bool backbone_only) {
  Values values(file.front().second);
  const auto shapes = infer_shapes(graph);
  State named;
  for (const Node& node : graph.nodes) {
    const auto* conv = std::get_if<Conv>(&node.op);
    if (values.at_end() || (backbone_only && !node.backbone) ||
        !starts_with(node.name, "backbone.")) {
      continue;
    }
    if (conv != nullptr) {
      take_conv(values, node, *conv, shapes[node.inputs.front()].channels, named);
    }
  }
  SSDQ_CHECK(backbone_only || values.at_end(),
             "{} values are left behind the last convolution of the cfg; is the file of another "
             "cfg?",
             values.left());
  return named;
}

}  // namespace ssdq
