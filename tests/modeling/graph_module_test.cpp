#include "ssdq/modeling/graph_module.h"

#include <map>
#include <string>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/layers/autocast.h"
#include "ssdq/modeling/state.h"
#include "tests/modeling/graph_builder.h"

namespace ssdq {
namespace {

using testing::append;
using testing::conv;

// One node of each operator that a backbone may have; the last is an L2Norm, "backbone.2" a sum.
Graph every_operator() {
  Graph g;
  append(g, "input", Input{3, {9, 11}});
  const NodeId stem = append(g, "backbone.0", conv(6, 3, 2, true), {0});
  const NodeId branch = append(g, "backbone.1", conv(6, 1, 1, false, Activation::kLinear), {stem});
  Add plus;
  plus.activation = Activation::kRelu6;
  const NodeId sum = append(g, "backbone.2", plus, {stem, branch});
  SqueezeExcite excitation;
  excitation.squeeze_channels = 2;
  const NodeId se = append(g, "backbone.3", excitation, {sum});
  Pool halve;
  halve.ceil_mode = true;
  const NodeId pooled = append(g, "backbone.4", halve, {se});
  const NodeId up = append(g, "backbone.5", Upsample{2}, {pooled});
  const NodeId deep = append(g, "backbone.6", conv(4, 3, 1, false), {up});
  const NodeId both = append(g, "backbone.7", Concat{}, {deep, up});
  append(g, "backbone.7.l2_norm", L2Norm{10}, {both});
  return g;
}

GraphModule make_module(const Graph& graph) {
  torch::manual_seed(1);
  const auto last = static_cast<NodeId>(graph.nodes.size()) - 1;
  return GraphModule(graph, infer_shapes(graph), GraphQuantization{},
                     std::vector<NodeId>{last, graph.find("backbone.2")});
}

TEST(GraphModule, EqualsTheSameNetworkWrittenInLibTorch) {
  GraphModule module = make_module(every_operator());
  module->eval();
  std::map<std::string, torch::Tensor> t;
  for (const auto& [name, tensor] : state(*module)) {
    t[name] = tensor;
  }

  const torch::Tensor x = torch::randn({2, 3, 9, 11});
  const torch::Tensor a = torch::relu(torch::batch_norm(
      torch::conv2d(x, t.at("backbone.0.weight"), {}, 2, 1), t.at("backbone.0.bn.weight"),
      t.at("backbone.0.bn.bias"), t.at("backbone.0.bn.running_mean"),
      t.at("backbone.0.bn.running_var"), false, 0.1, 1e-5, false));
  const torch::Tensor b = torch::conv2d(a, t.at("backbone.1.weight"), t.at("backbone.1.bias"));
  const torch::Tensor c = (a + b).clamp(0, 6);
  torch::Tensor gate = torch::conv2d(c.mean({2, 3}, true), t.at("backbone.3.squeeze.weight"),
                                     t.at("backbone.3.squeeze.bias"));
  gate = torch::conv2d(torch::relu(gate), t.at("backbone.3.excite.weight"),
                       t.at("backbone.3.excite.bias"));
  const torch::Tensor d = torch::max_pool2d(c * torch::sigmoid(gate), 2, 2, 0, 1, true);
  const torch::Tensor e = d.repeat_interleave(2, 2).repeat_interleave(2, 3);
  const torch::Tensor f =
      torch::relu(torch::conv2d(e, t.at("backbone.6.weight"), t.at("backbone.6.bias"), 1, 1));
  const torch::Tensor h = torch::cat({f, e}, 1);
  const torch::Tensor expected = 10 * h / (h.square().sum(1, true).sqrt() + 1e-10);

  const auto outputs = module->forward(x);
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_TRUE(torch::allclose(outputs[0], expected, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(outputs[1], c, 1e-5, 1e-6)) << "a later operator overwrote its input";
}

TEST(GraphModule, EveryOperatorTrainsInBf16Autocast) {
  GraphModule module = make_module(every_operator());
  const torch::Tensor x = torch::randn({2, 3, 9, 11}).contiguous(torch::MemoryFormat::ChannelsLast);
  const torch::Tensor exact = module->forward(x)[0].detach();
  torch::Tensor y;
  {
    const Bf16Autocast autocast(torch::kCPU, true);
    y = module->forward(x)[0].to(torch::kFloat);
  }
  EXPECT_LT((y - exact).norm().item<double>(), 0.1 * exact.norm().item<double>());
  y.sum().backward();
  for (const auto& parameter : module->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(torch::isfinite(parameter.value().grad()).all().item<bool>()) << parameter.key();
  }
}

}  // namespace
}  // namespace ssdq
