#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ssdq/graph/graph.h"
#include "ssdq/layers/conv_block.h"
#include "ssdq/quantization/policy.h"
#include "ssdq/quantization/policy_pre_activation.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// How the nodes of a graph are quantized; without methods not at all.
struct GraphQuantization {
  QuantizationMethods methods;
  QuantizationPlan plan;
};

// A graph as LibTorch modules. The tensors of node "backbone.3" are named "backbone.3.weight",
// "backbone.3.bn.running_mean" and so on.
class GraphModuleImpl : public torch::nn::Module {
 public:
  // `shapes` are those of infer_shapes(graph); `wanted` are the nodes whose outputs forward
  // returns.
  GraphModuleImpl(Graph graph, const std::vector<Shape>& shapes,
                  const GraphQuantization& quantization, std::vector<NodeId> wanted);

  // images [N, C, H, W] in any memory format -> the wanted outputs, in the order asked for. Tensors
  // are freed after their last use.
  std::vector<torch::Tensor> run(const torch::Tensor& images);
  // The same; `visitor` sees each node's output right after it was computed, in node order.
  using NodeVisitor = std::function<void(NodeId, const torch::Tensor&)>;
  std::vector<torch::Tensor> run(const torch::Tensor& images, const NodeVisitor& visitor);
  std::vector<torch::Tensor> forward(const torch::Tensor& images) { return run(images); }

  // Folds the batch norm of each convolution; see ConvBlockImpl::fold_batch_norm.
  void fold_batch_norm();

  const Graph& graph() const { return graph_; }

  // The convolutions with the names of their nodes, in node order.
  const std::vector<std::pair<std::string, ConvBlock>>& convolutions() const {
    return convolutions_;
  }

 protected:
  // The activation that readers of a node's output apply, as the node itself was not to.
  Activation pending(NodeId id) const { return pre_activations_.pending[id]; }

 private:
  using Inputs = std::vector<torch::Tensor>;
  using Step = std::function<torch::Tensor(const Inputs&)>;
  struct StepBuilder;

  bool withheld(NodeId id) const { return pre_activations_.withheld[id]; }
  void register_dotted(const std::string& name, std::shared_ptr<torch::nn::Module> module);

  Graph graph_;
  std::vector<NodeId> wanted_;
  PreActivationPlan pre_activations_;
  std::vector<Step> steps_;                   // by node
  std::vector<std::vector<NodeId>> expired_;  // by node: outputs not needed after it
  std::vector<std::pair<std::string, ConvBlock>> convolutions_;
  std::map<NodeId, ConvBlock> blocks_;
  std::vector<int> uses_;  // by node: as an input or as a wanted output
};
TORCH_MODULE(GraphModule);

}  // namespace ssdq
