#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "onnx_testing.h"
#include "ssdq/export/onnx_graph.h"
#include "ssdq/modeling/graph_module.h"
#include "ssdq/modeling/state.h"
#include "testing_state.h"

namespace ssdq {
namespace {

constexpr Size2 kImage{19, 26};  // no side is a multiple of a stride

// A network written line by line; every node can be an output.
struct Net {
  Graph graph;

  Net() { add("image", Input{3, kImage}, {}); }

  NodeId add(const std::string& name, Op op, std::vector<NodeId> inputs) {
    Node node;
    node.name = name;
    node.op = std::move(op);
    node.inputs = std::move(inputs);
    graph.nodes.push_back(node);
    return static_cast<NodeId>(graph.nodes.size()) - 1;
  }
};

Conv conv(int out, Activation activation) {
  Conv op;
  op.out_channels = out;
  op.kernel = {3, 3};
  op.padding = {1, 1};
  op.batch_norm = BatchNorm{1e-3, 0.1};
  op.activation = activation;
  op.leaky_slope = 0.2;
  return op;
}

Net every_operator() {
  Net net;
  NodeId x = 0;
  for (const auto activation :
       {Activation::kRelu, Activation::kRelu6, Activation::kLeaky, Activation::kHSwish,
        Activation::kSwish, Activation::kHSigmoid, Activation::kSigmoid, Activation::kLinear}) {
    x = net.add("conv." + std::string(to_string(activation)), conv(8, activation), {x});
  }
  Conv odd;
  odd.out_channels = 12;
  odd.groups = 4;
  odd.kernel = {3, 2};
  odd.stride = {2, 1};
  odd.padding = {2, 1};
  odd.dilation = {2, 3};
  const NodeId grouped = net.add("grouped", odd, {x});
  odd.groups = 12;
  odd.bias = false;
  odd.stride = {1, 1};
  odd.dilation = {1, 1};
  const NodeId depthwise = net.add("depthwise", odd, {grouped});
  Conv same;
  same.out_channels = 6;
  same.kernel = {3, 4};
  same.stride = {2, 3};
  same.dilation = {1, 2};
  same.same_padding = true;
  net.add("same", same, {0});
  const NodeId small = net.add("small", Pool{PoolKind::kMax, false, {2, 2}, {2, 2}}, {depthwise});
  const NodeId up = net.add("up", Upsample{3}, {small});
  const NodeId excited = net.add(
      "excited", SqueezeExcite{5, Activation::kHSwish, Activation::kHSigmoid, Activation::kRelu},
      {up});
  const NodeId plain = net.add("plain_excited", SqueezeExcite{3}, {up});
  const NodeId sum = net.add("sum", Add{Activation::kLeaky, 0.3}, {up, excited, plain});
  const NodeId norm = net.add("norm", L2Norm{20}, {sum});
  const NodeId route = net.add("route", Concat{}, {norm});
  net.add("joined", Concat{}, {up, route, excited});
  net.add("global_max", Pool{PoolKind::kMax, true}, {norm});
  net.add("global_mean", Pool{PoolKind::kAverage, true}, {norm});
  return net;
}

// Every sort of pool; the ceil ones reach past the map, on some sides by more than the padding, or
// would start a window behind it.
Net every_pool() {
  Net net;
  int count = 0;
  for (const auto kind : {PoolKind::kMax, PoolKind::kAverage}) {
    for (const bool ceil_mode : {false, true}) {
      for (const Pool& pool : std::vector<Pool>{{kind, false, {2, 2}, {2, 2}, {0, 0}, ceil_mode},
                                                {kind, false, {3, 3}, {2, 2}, {1, 1}, ceil_mode},
                                                {kind, false, {2, 2}, {3, 3}, {1, 1}, ceil_mode},
                                                {kind, false, {5, 4}, {4, 3}, {2, 1}, ceil_mode},
                                                {kind, false, {3, 5}, {1, 4}, {1, 0}, ceil_mode}}) {
        net.add("pool" + std::to_string(count++), pool, {0});
      }
    }
  }
  return net;
}

testing::RunValue value_of(const torch::Tensor& x) {
  const auto flat = x.contiguous();
  const auto* data = flat.data_ptr<float>();
  return {x.sizes().vec(), {data, data + flat.numel()}};
}

// The graph with all its nodes as outputs "o0", "o1" and so on.
OnnxModel export_all(const Graph& graph, const FloatTensors& weights, int opset) {
  OnnxBuilder onnx(opset);
  onnx.model.ir_version = 6;
  onnx.model.graph_name = "test";
  const auto shapes = infer_shapes(graph);
  onnx.input("images", OnnxType::kFloat,
             {"batch", int64_t{3}, int64_t{kImage.height}, int64_t{kImage.width}});
  const auto values = add_graph(onnx, graph, weights, "images");
  for (size_t i = 1; i < values.size(); ++i) {
    const auto name = onnx.node("Identity", "o" + std::to_string(i), {values[i]});
    onnx.output(name, OnnxType::kFloat,
                {"batch", int64_t{shapes[i].channels}, int64_t{shapes[i].size.height},
                 int64_t{shapes[i].size.width}});
  }
  return std::move(onnx.model);
}

class OnnxGraph : public ::testing::TestWithParam<int> {};

void expect_equal_maps(const Net& net, int opset) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  std::vector<NodeId> all;
  for (size_t i = 1; i < net.graph.nodes.size(); ++i) {
    all.push_back(static_cast<NodeId>(i));
  }
  GraphModule module(net.graph, infer_shapes(net.graph), GraphQuantization{}, all);
  module->eval();
  testing::randomise(*module);
  const auto images = torch::randn({2, 3, kImage.height, kImage.width});
  const auto expected = module->run(images);
  const auto model = export_all(net.graph, testing::float_tensors(*module), opset);
  const auto outputs = testing::run_onnx(model, {value_of(images)});
  ASSERT_EQ(outputs.size(), 1);
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& actual = outputs[0].at("o" + std::to_string(i + 1));
    EXPECT_EQ(actual.dims, expected[i].sizes().vec()) << net.graph.nodes[i + 1].name;
    EXPECT_LT(testing::relative_difference(actual.values, value_of(expected[i]).values), 1e-5)
        << net.graph.nodes[i + 1].name;
  }
}

TEST_P(OnnxGraph, EveryOperatorComputesWhatTheModuleDoes) {
  SSDQ_NEEDS_ONNXRUNTIME();
  expect_equal_maps(every_operator(), GetParam());
}

TEST_P(OnnxGraph, PoolsRoundTheSameWay) {
  SSDQ_NEEDS_ONNXRUNTIME();
  expect_equal_maps(every_pool(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Opsets, OnnxGraph, ::testing::Values(11, 12, 13, 14, 17, 18, 19));

TEST(OnnxGraphFile, PassesTheChecker) {
  SSDQ_NEEDS_CHECKER();
  for (const Net& net : {every_operator(), every_pool()}) {
    FloatTensors weights = expected_tensors(net.graph);
    for (auto& [name, tensor] : weights) {
      size_t count = 1;
      for (const int64_t side : tensor.shape) {
        count *= static_cast<size_t>(side);
      }
      tensor.values.assign(count, 1);
    }
    for (const int opset : {11, 13, 17}) {
      EXPECT_EQ(testing::check_onnx(export_all(net.graph, weights, opset)), "") << opset;
    }
  }
}

// The names and shapes are those of the modules.
TEST(OnnxGraphFile, ExpectsTheTensorsOfTheModule) {
  const Net net = every_operator();
  GraphModule module(net.graph, infer_shapes(net.graph), GraphQuantization{},
                     std::vector<NodeId>{1});
  FloatTensors expected = expected_tensors(net.graph);
  for (const auto& [name, tensor] : testing::float_tensors(*module)) {
    ASSERT_EQ(expected.count(name), 1) << name;
    EXPECT_EQ(expected[name].shape, tensor.shape) << name;
    expected.erase(name);
  }
  EXPECT_TRUE(expected.empty()) << expected.begin()->first;
}

}  // namespace
}  // namespace ssdq
