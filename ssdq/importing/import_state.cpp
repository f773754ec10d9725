#include "ssdq/importing/import_state.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/darknet_file.h"
#include "ssdq/importing/adapt.h"
#include "ssdq/importing/darknet.h"
#include "ssdq/importing/graph_parts.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/glob.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

using Dims = std::vector<int64_t>;

// What the heads of other systems are called.
const std::vector<std::string> kHeads = {"*head*", "conf.*", "loc.*"};

std::string shape_text(const Dims& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// Takes the tensors node by node and keeps account of them.
class Importer {
 public:
  Importer(const Graph& graph, const State& file, const ImportOptions& options)
      : graph_(graph), file_(file), options_(options), tensors_(file.begin(), file.end()) {
    for (const auto& entry : file) {
      names_.insert(entry.first);
    }
    result_.source =
        options.source.empty() ? &detect_source(file) : &find_import_source(options.source);
    map_ = result_.source->map(graph, names_);
    count_head_values();
  }

  ImportedState run() {
    const auto shapes = infer_shapes(graph_);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      const auto found = map_.find(node.name);
      const LayerNames names = found == map_.end() ? LayerNames{} : found->second;
      const int64_t in = node.inputs.empty() ? 0 : shapes[node.inputs.front()].channels;
      wanted_ = is_wanted(node);
      if (const auto* conv = std::get_if<Conv>(&node.op)) {
        take_conv(node, *conv, names, in);
      } else if (const auto* se = std::get_if<SqueezeExcite>(&node.op)) {
        take_plain(node.name + ".squeeze", names.first, {se->squeeze_channels, in, 1, 1});
        take_plain(node.name + ".excite", names.second, {in, se->squeeze_channels, 1, 1});
      } else if (std::holds_alternative<L2Norm>(node.op)) {
        keep(node.name + ".weight", take(node.name + ".weight", names.first, {in}));
      }
    }
    report_rest();
    return std::move(result_);
  }

 private:
  bool is_image_layer(const Node& node) const {
    return std::holds_alternative<Input>(graph_.nodes[node.inputs.front()].op);
  }

  bool is_wanted(const Node& node) const {
    return !options_.backbone_only ||
           (result_.source->classifier ? node.backbone : starts_with(node.name, "backbone."));
  }

  bool has(const std::string& name) const { return names_.count(name) > 0; }

  // The tensor called `source` as float32, or nothing, which the report then explains under the
  // network's name `target`.
  torch::Tensor take(const std::string& target, const std::string& source, const Dims& shape) {
    used_.insert(source);
    if (!wanted_) {
      return {};
    }
    if (matches_any(options_.reset, target)) {
      result_.report.reset.push_back(target);
      return {};
    }
    if (!has(source)) {
      auto& kind = matches_any(options_.allow_missing, target) ? result_.report.allowed
                                                               : result_.report.missing;
      kind.push_back(source.empty() ? target : fmt::format("{} ({})", target, source));
      return {};
    }
    torch::Tensor tensor = tensors_.at(source).detach().to(torch::kCPU, torch::kFloat);
    if (tensor.sizes() != c10::IntArrayRef(shape)) {
      const auto reduced =
          starts_with(source, "classifier.") ? reduce_fully_connected(tensor, shape) : tensor;
      if (!reduced.defined() || reduced.sizes() != c10::IntArrayRef(shape)) {
        result_.report.reshaped.push_back(
            fmt::format("{}: {} is {} in the file, expected {}", target, source,
                        shape_text(tensor.sizes().vec()), shape_text(shape)));
        return {};
      }
      tensor = reduced;
    }
    result_.report.matched.push_back(fmt::format("{} <- {}", target, source));
    return tensor;
  }

  void keep(const std::string& target, const torch::Tensor& tensor) {
    if (tensor.defined()) {
      result_.tensors.emplace_back(target, tensor.contiguous());
    }
  }

  void take_plain(const std::string& target, const std::string& module, const Dims& shape) {
    keep(target + ".weight", take(target + ".weight", dotted(module, "weight"), shape));
    keep(target + ".bias", take(target + ".bias", dotted(module, "bias"), {shape[0]}));
  }

  static std::string dotted(const std::string& module, const char* tensor) {
    return module.empty() ? "" : module + "." + tensor;
  }

  void take_conv(const Node& node, const Conv& conv, const LayerNames& names, int64_t in) {
    auto weight =
        take(node.name + ".weight", dotted(names.first, "weight"),
             {conv.out_channels, in / conv.groups, conv.kernel.height, conv.kernel.width});
    if (weight.defined() && result_.source->bgr && is_image_layer(node)) {
      weight = weight.flip({1});
    }
    const bool file_bn = !names.second.empty() && has(names.second + ".running_mean");
    const std::string bias = dotted(names.first, "bias");
    if (!conv.batch_norm) {
      if (conv.bias) {
        take_bias(node, conv, names, file_bn, weight);
      }
    } else if (file_bn || !has(bias)) {
      take_batch_norm(node.name + ".bn", conv, names);
    } else if (const auto shift = take(node.name + ".bn.bias", bias, {conv.out_channels});
               shift.defined()) {
      keep(node.name + ".bn", identity_batch_norm(shift, conv.batch_norm->eps));
    }
    keep(node.name + ".weight", head_rows(node, weight));
    take_scales(node, names.first);
  }

  // Of a layer whose file holds codes of 8 bits.
  void take_scales(const Node& node, const std::string& layer) {
    constexpr double kMostCode = 127;
    used_.insert(dotted(layer, "weight_scale"));
    used_.insert(dotted(layer, "output_scale"));
    const std::string input = dotted(layer, "input_scale");
    used_.insert(input);
    if (wanted_ && has(input) && tensors_.at(input).numel() == 1) {
      const auto scale = tensors_.at(input).item<double>();
      if (scale > 0 && std::isfinite(scale)) {
        result_.input_ranges[node.name] = kMostCode / scale;
      }
    }
  }

  BatchNormTensors read_batch_norm(const std::string& target, const std::string& module,
                                   const Dims& shape) {
    const bool greek = has(module + ".gamma");
    BatchNormTensors bn;
    bn.weight = take(target + ".weight", dotted(module, greek ? "gamma" : "weight"), shape);
    bn.bias = take(target + ".bias", dotted(module, greek ? "beta" : "bias"), shape);
    bn.running_mean = take(target + ".running_mean", dotted(module, "running_mean"), shape);
    bn.running_var = take(target + ".running_var", dotted(module, "running_var"), shape);
    const std::string batches = dotted(module, "num_batches_tracked");
    used_.insert(batches);
    bn.batches = has(batches) ? tensors_.at(batches) : torch::Tensor();
    return bn;
  }

  void take_batch_norm(const std::string& target, const Conv& conv, const LayerNames& names) {
    const Dims shape = {conv.out_channels};
    auto bn = read_batch_norm(target, names.second, shape);
    if (const std::string bias = dotted(names.first, "bias"); has(bias)) {
      const auto shift = take(target + ".running_mean", bias, shape);
      if (shift.defined() && bn.running_mean.defined()) {
        bn.running_mean = bn.running_mean - shift;
      }
    }
    if (bn.running_var.defined()) {
      bn.running_var = with_eps(bn.running_var, result_.source->bn_eps, conv.batch_norm->eps);
    }
    keep(target, bn);
  }

  // The bias of a convolution that the network has without a batch norm.
  void take_bias(const Node& node, const Conv& conv, const LayerNames& names, bool file_bn,
                 torch::Tensor& weight) {
    const Dims shape = {conv.out_channels};
    const std::string target = node.name + ".bias";
    const std::string source = dotted(names.first, "bias");
    auto bias = !file_bn || has(source) ? take(target, source, shape) : torch::Tensor();
    if (file_bn) {
      const auto bn = read_batch_norm(target + " (batch norm)", names.second, shape);
      if (bn.complete() && weight.defined()) {
        fold(bn, result_.source->bn_eps, weight, bias);
      }
    }
    keep(target, head_rows(node, bias));
  }

  void keep(const std::string& target, const BatchNormTensors& bn) {
    keep(target + ".weight", bn.weight);
    keep(target + ".bias", bn.bias);
    keep(target + ".running_mean", bn.running_mean);
    keep(target + ".running_var", bn.running_var);
    if (bn.running_var.defined()) {
      const auto batches = bn.batches.defined() && bn.batches.numel() == 1
                               ? bn.batches.reshape({}).to(torch::kLong)
                               : torch::zeros({}, torch::kLong);
      result_.tensors.emplace_back(target + ".num_batches_tracked", batches);
    }
  }

  // Weight or bias of a head in box-major order.
  torch::Tensor head_rows(const Node& node, const torch::Tensor& tensor) const {
    const auto values = head_values_.find(node.name);
    return tensor.defined() && result_.source->value_major_heads && values != head_values_.end()
               ? to_box_major(tensor, values->second)
               : tensor;
  }

  // Values of a box in each head: 4, or the classes.
  void count_head_values() {
    const auto channels = [&](NodeId id) {
      const auto* conv = std::get_if<Conv>(&graph_.nodes[id].op);
      return conv == nullptr ? 0 : conv->out_channels;
    };
    const auto boxes = head_levels(graph_, OutputRole::kBox);
    const auto classes = head_levels(graph_, OutputRole::kClass);
    for (size_t level = 0; level < boxes.size(); ++level) {
      if (boxes[level].empty() || classes[level].empty()) {
        continue;
      }
      const int count = channels(boxes[level].back()) / 4;
      head_values_[graph_.nodes[boxes[level].back()].name] = 4;
      head_values_[graph_.nodes[classes[level].back()].name] =
          count == 0 ? 0 : channels(classes[level].back()) / count;
    }
  }

  void report_rest() {
    for (const auto& [name, tensor] : file_) {
      if (used_.count(name) > 0) {
        continue;
      }
      const bool unused = matches_any(result_.source->unused, name) ||
                          (options_.backbone_only && matches_any(kHeads, name));
      (unused ? result_.report.unused : result_.report.unexpected)
          .push_back(fmt::format("{} {}", name, shape_text(tensor.sizes().vec())));
    }
  }

  const Graph& graph_;
  const State& file_;
  const ImportOptions& options_;
  std::map<std::string, torch::Tensor> tensors_;
  FileNames names_;
  NameMap map_;
  std::map<std::string, int64_t> head_values_;
  FileNames used_;
  bool wanted_ = true;
  ImportedState result_;
};

}  // namespace

ImportedState import_state(const Graph& graph, const State& file, const ImportOptions& options) {
  if (file.size() == 1 && file.front().first == kDarknetValues) {
    ImportOptions darknet = options;
    darknet.source = detect_source(file).name;
    return Importer(graph, name_darknet_values(graph, file, options.backbone_only), darknet).run();
  }
  return Importer(graph, file, options).run();
}

}  // namespace ssdq
