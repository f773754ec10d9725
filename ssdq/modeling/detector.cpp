#include "ssdq/modeling/detector.h"

#include <algorithm>
#include <utility>

#include <torch/torch.h>

#include "ssdq/layers/functional.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Output nodes: the class maps by level, then the box maps by level.
std::vector<NodeId> output_nodes(const Graph& graph) {
  std::vector<std::pair<std::pair<int, int>, NodeId>> found;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (const auto* output = std::get_if<Output>(&graph.nodes[i].op)) {
      found.push_back(
          {{output->role == OutputRole::kClass ? 0 : 1, output->level}, static_cast<NodeId>(i)});
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<NodeId> result;
  for (const auto& entry : found) {
    result.push_back(entry.second);
  }
  return result;
}

GraphQuantization quantization_of(const Graph& graph, QuantizationMethods methods,
                                  const QuantizationConfig& config) {
  QuantizationPlan plan;
  if (methods) {
    plan = plan_quantization(graph, config);
  }
  return {std::move(methods), std::move(plan)};
}

// Maps [N, A * values, H, W] of all levels -> [N, sum(H * W * A), values].
torch::Tensor location_major(const torch::Tensor* maps, size_t levels, int64_t values) {
  std::vector<torch::Tensor> rows;
  for (size_t i = 0; i < levels; ++i) {
    rows.push_back(maps[i].permute({0, 2, 3, 1}).reshape({maps[i].size(0), -1, values}));
  }
  return (levels == 1 ? rows[0] : torch::cat(rows, 1)).to(torch::kFloat);
}

}  // namespace

DetectorImpl::DetectorImpl(const Graph& graph, int num_classes, QuantizationMethods methods,
                           const QuantizationConfig& quantization)
    : GraphModuleImpl(graph, infer_shapes(graph),
                      quantization_of(graph, std::move(methods), quantization),
                      output_nodes(graph)),
      num_classes_(num_classes) {
  check_maps(infer_shapes(graph));
  reset_parameters();
}

void DetectorImpl::check_maps(const std::vector<Shape>& shapes) {
  const std::vector<NodeId> outputs = output_nodes(graph());
  const size_t levels = outputs.size() / 2;
  SSDQ_CHECK(levels > 0 && outputs.size() % 2 == 0,
             "a detector needs a class map and a box map for each level, found {} maps",
             outputs.size());
  for (size_t i = 0; i < levels; ++i) {
    const Shape &scores = shapes[outputs[i]], &boxes = shapes[outputs[levels + i]];
    const bool agree = boxes.channels % 4 == 0 && scores.size == boxes.size &&
                       scores.channels == boxes.channels / 4 * num_classes_;
    SSDQ_CHECK(agree,
               "level {}: a class map of {} channels, {} x {}, for {} classes does not belong to a "
               "box map of {} channels, {} x {}",
               i, scores.channels, scores.size.height, scores.size.width, num_classes_,
               boxes.channels, boxes.size.height, boxes.size.width);
    num_priors_ += int64_t{boxes.channels / 4} * boxes.size.height * boxes.size.width;
  }
}

void DetectorImpl::reset_parameters() {
  for (const auto& [name, block] : convolutions()) {
    if (name.rfind("head.", 0) == 0) {
      torch::nn::init::xavier_uniform_(block->weight);
    } else {
      torch::nn::init::kaiming_uniform_(block->weight);
    }
  }
}

DetectorOutput DetectorImpl::forward(const torch::Tensor& images) { return collect(run(images)); }

DetectorOutput DetectorImpl::forward_with_features(const torch::Tensor& images,
                                                   std::vector<torch::Tensor>& features) {
  const std::vector<NodeId>& tapped = graph().features;
  features.assign(tapped.size(), torch::Tensor());
  return collect(run(images, [&](NodeId id, const torch::Tensor& output) {
    for (size_t level = 0; level < tapped.size(); ++level) {
      if (tapped[level] == id) {
        features[level] = activate(output, pending(id));
      }
    }
  }));
}

DetectorOutput DetectorImpl::collect(const std::vector<torch::Tensor>& maps) const {
  const size_t levels = maps.size() / 2;
  return {location_major(maps.data(), levels, num_classes_),
          location_major(maps.data() + levels, levels, 4)};
}

}  // namespace ssdq
