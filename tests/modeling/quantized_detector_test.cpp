#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/modeling/detector.h"
#include "ssdq/modeling/state.h"
#include "ssdq/quantization/build.h"
#include "ssdq/quantization/policy.h"
#include "tests/modeling/graph_builder.h"

namespace ssdq {
namespace {

using testing::append;
using testing::conv;

struct Setting {
  std::string type;
  int wbits, abits;
  Options options = {};
};

QuantizationConfig config_of(const Setting& setting) {
  QuantizationConfig config;
  config.type = setting.type;
  config.wbits = setting.wbits;
  config.abits = setting.abits;
  config.options = setting.options;
  config.layers = "all";
  config.final_layer = "true";
  config.merge_inputs = "separate";
  return config;
}

const QuantizerRegistry& methods() {
  static const QuantizerRegistry registry = [] {
    QuantizerRegistry all;
    register_quantizers(all);
    return all;
  }();
  return registry;
}

Detector make_detector(const Setting& setting) {
  const QuantizationConfig config = config_of(setting);
  return Detector(testing::small_detector(), 3, quantization_methods(methods(), config), config);
}

void train(Detector& detector, int steps) {
  detector->train();
  torch::optim::SGD optimizer(detector->parameters(), torch::optim::SGDOptions(1e-3));
  for (int step = 0; step < steps; ++step) {
    const DetectorOutput output = detector->forward(torch::randn({2, 3, 12, 16}));
    optimizer.zero_grad();
    (output.class_logits.square().mean() + output.box_regression.square().mean()).backward();
    optimizer.step();
  }
  detector->eval();
}

State copy_of(const Detector& detector) {
  State result;
  for (const auto& [name, tensor] : state(*detector)) {
    result.emplace_back(name, tensor.detach().clone());
  }
  return result;
}

class EachMethod : public ::testing::TestWithParam<Setting> {};

TEST_P(EachMethod, EvaluatesTheSameAfterSavingLoadingAndFolding) {
  torch::manual_seed(1);
  Detector detector = make_detector(GetParam());
  train(detector, 3);
  const torch::NoGradGuard no_grad;
  const torch::Tensor x = torch::randn({2, 3, 12, 16});
  const State before = copy_of(detector);
  const DetectorOutput first = detector->forward(x);
  const DetectorOutput second = detector->forward(x);
  EXPECT_TRUE(torch::equal(first.class_logits, second.class_logits));
  EXPECT_TRUE(torch::equal(first.box_regression, second.box_regression));
  const State after = copy_of(detector);
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(torch::equal(before[i].second, after[i].second))
        << "evaluation changed " << before[i].first;
  }

  Detector loaded = make_detector(GetParam());
  load_state_strict(*loaded, before, "memory");
  loaded->eval();
  EXPECT_TRUE(torch::equal(loaded->forward(x).class_logits, first.class_logits));

  loaded->fold_batch_norm();
  const DetectorOutput folded = loaded->forward(x);
  // Another order of roundings moves a number over a rounding boundary here and there: one step of
  // one input of the next layer.
  const torch::Tensor error = (folded.class_logits - first.class_logits).abs();
  const double scale = first.class_logits.abs().max().item<double>();
  EXPECT_LT(error.mean().item<double>(), 2e-3 * scale);
}

TEST_P(EachMethod, GivesFiniteGradientsToEveryParameter) {
  torch::manual_seed(2);
  Detector detector = make_detector(GetParam());
  detector->train();
  const DetectorOutput output = detector->forward(torch::randn({2, 3, 12, 16}));
  (output.class_logits.square().mean() + output.box_regression.square().mean()).backward();
  for (const auto& parameter : detector->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(torch::isfinite(parameter.value().grad()).all().item<bool>()) << parameter.key();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Methods, EachMethod,
    ::testing::Values(Setting{"dorefa", 8, 8}, Setting{"uniform", 4, 4}, Setting{"iao", 8, 8},
                      Setting{"iao", 8, 8, {{"FOLD", "two_pass"}}}, Setting{"bwn", 3, 32},
                      Setting{"bwn", 2, 2}, Setting{"lsq", 4, 4}, Setting{"lsq_plus", 4, 4},
                      Setting{"pact", 4, 4}, Setting{"tqt", 8, 8}, Setting{"lqnet", 2, 2}),
    [](const auto& given) {
      return given.param.type + "_w" + std::to_string(given.param.wbits) + "_a" +
             std::to_string(given.param.abits) + (given.param.options.empty() ? "" : "_options");
    });

torch::Tensor signs_of(const torch::Tensor& x) {
  return torch::where(x < 0, -torch::ones_like(x), torch::ones_like(x));
}

TEST(BinaryActivations, AreTakenBeforeTheReLUAndOnlyThere) {
  Graph graph;
  append(graph, "input", Input{3, {8, 8}});
  const NodeId first = append(graph, "backbone.0", conv(4, 3, 1, true), {0});
  const NodeId pooled = append(graph, "backbone.1", Pool{}, {first});
  const NodeId binary = append(graph, "backbone.2", conv(5, 3, 1, true), {pooled});
  const NodeId plain = append(graph, "backbone.3", conv(5, 1, 1, true), {first});
  QuantizationConfig config;
  config.type = "bwn";
  config.wbits = 32;
  config.abits = 2;
  config.policy.resize(2);
  config.policy[0].match = "backbone.0";
  config.policy[0].skip = true;
  config.policy[1].match = "backbone.3";
  config.policy[1].skip = true;
  torch::manual_seed(3);
  GraphModule module(
      graph, infer_shapes(graph),
      GraphQuantization{quantization_methods(methods(), config), plan_quantization(graph, config)},
      std::vector<NodeId>{binary, plain, first});
  module->eval();
  std::map<std::string, torch::Tensor> t;
  for (const auto& [name, tensor] : state(*module)) {
    t[name] = tensor;
  }
  const torch::Tensor x = torch::randn({2, 3, 8, 8});
  const double scale = 1 / std::sqrt(1 + 1e-5);  // of a fresh batch norm
  const torch::Tensor before = torch::conv2d(x, t.at("backbone.0.weight"), {}, 1, 1) * scale;
  ASSERT_LT(before.min().item<double>(), 0);
  const torch::Tensor codes = signs_of(torch::max_pool2d(before, 2, 2));
  const torch::Tensor expected =
      torch::relu(torch::conv2d(codes, t.at("backbone.2.weight"), {}, 1, 1) * scale);
  const auto outputs = module->forward(x);
  EXPECT_TRUE(torch::allclose(outputs[0], expected, 1e-4, 1e-5));
  const torch::Tensor after = torch::relu(before);
  EXPECT_TRUE(torch::allclose(outputs[1],
                              torch::relu(torch::conv2d(after, t.at("backbone.3.weight")) * scale),
                              1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(outputs[2], after, 1e-5, 1e-6));
}

TEST(MergeInputs, ShareOneStepOrHaveOneEach) {
  for (const std::string merge : {"shared", "separate"}) {
    Graph graph;
    append(graph, "input", Input{3, {8, 8}});
    const NodeId left = append(graph, "backbone.0", conv(4, 3, 1, false), {0});
    const NodeId right =
        append(graph, "backbone.1", conv(4, 1, 1, false, Activation::kLinear), {left});
    const NodeId sum = append(graph, "backbone.2", Add{}, {left, right});
    QuantizationConfig config;
    config.type = "uniform";
    config.wbits = 32;
    config.abits = 4;
    config.merge_inputs = merge;
    config.policy.resize(1);
    config.policy[0].match = "conv";
    config.policy[0].skip = true;
    torch::manual_seed(4);
    GraphModule module(graph, infer_shapes(graph),
                       GraphQuantization{quantization_methods(methods(), config),
                                         plan_quantization(graph, config)},
                       std::vector<NodeId>{left, right, sum});
    module->train();
    const auto outputs = module->forward(torch::randn({2, 3, 8, 8}));
    const torch::Tensor &a = outputs[0], &b = outputs[1];
    const auto nearest = [](const torch::Tensor& x, double step) {
      return (x / step).round() * step;
    };
    std::set<std::string> owners;
    for (const auto& item : module->named_modules()) {
      if (item.key().find("input_quantizer") != std::string::npos) {
        owners.insert(item.key());
      }
    }
    if (merge == "separate") {
      EXPECT_EQ(owners, (std::set<std::string>{"backbone.2.input_quantizer_0",
                                               "backbone.2.input_quantizer_1"}));
      const torch::Tensor expected =
          nearest(a, a.max().item<double>() / 15) + nearest(b, b.abs().max().item<double>() / 7);
      EXPECT_TRUE(torch::allclose(outputs[2], expected, 1e-4, 1e-5));
    } else {
      EXPECT_EQ(owners, std::set<std::string>{"backbone.2.input_quantizer"});
      const auto found = state(*module);
      const auto max = std::find_if(found.begin(), found.end(), [](const auto& entry) {
        return entry.first == "backbone.2.input_quantizer.max";
      });
      ASSERT_NE(max, found.end());
      // The first tensor sets the range, the second moves it by a tenth.
      EXPECT_NEAR(max->second.item<double>(),
                  0.9 * a.max().item<double>() + 0.1 * b.max().item<double>(), 1e-5);
    }
  }
}

}  // namespace
}  // namespace ssdq
