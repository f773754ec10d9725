#include "ssdq/export/torchscript.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <nlohmann/json.hpp>

#include "../utils/temp_folder.h"
#include "onnx_cells.h"
#include "quantized_net.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

struct Outputs {
  torch::Tensor scores, boxes;
};

// What a program without SSDQ gets from the file.
Outputs run_script(const std::string& path, const torch::Tensor& images) {
  torch::jit::Module module = torch::jit::load(path);
  const auto outputs = module.forward({images}).toTuple();
  return {outputs->elements()[0].toTensor(), outputs->elements()[1].toTensor()};
}

// As a fraction of the largest magnitude.
double difference(const torch::Tensor& actual, const torch::Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  return ((actual - expected).abs().max() / expected.abs().max()).item<double>();
}

void expect_near(const Outputs& actual, const DetectorOutput& expected, double tolerance) {
  EXPECT_LT(difference(actual.scores, expected.class_logits), tolerance);
  EXPECT_LT(difference(actual.boxes, expected.box_regression), tolerance);
}

// Operators and activations that the quantized network lacks.
Graph every_operator() {
  Graph graph;
  append(graph, "input", Input{3, {19, 23}});
  append(graph, "backbone.0", conv(8, 3, 1, true, Activation::kLeaky), {0});
  append(graph, "backbone.1", SqueezeExcite{4, Activation::kRelu, Activation::kHSigmoid}, {1});
  append(graph, "backbone.2",
         Pool{PoolKind::kAverage, false, {3, 3}, {2, 2}, {1, 1}, /*ceil_mode=*/true}, {2});
  append(graph, "backbone.3", conv(8, 3, 1, true, Activation::kHSwish), {3});
  append(graph, "backbone.4", Pool{PoolKind::kMax, false, {2, 2}, {2, 2}, {0, 0}, true}, {4});
  append(graph, "backbone.5", conv(8, 1, 1, false, Activation::kSwish), {5});
  append(graph, "backbone.6", Upsample{2}, {6});
  append(graph, "backbone.7", Add{Activation::kSigmoid}, {3, 4, 7});
  append(graph, "backbone.8", Concat{}, {8, 4});
  append(graph, "backbone.9", L2Norm{}, {9});
  append(graph, "backbone.10", Pool{PoolKind::kMax, true}, {10});
  append(graph, "backbone.11", Pool{PoolKind::kAverage, true}, {10});
  append(graph, "backbone.12", Concat{}, {11, 12});
  int level = 0;
  for (const NodeId map : {10, 13}) {
    const std::string suffix = std::to_string(level);
    append(graph, "head.cls." + suffix, conv(6, 3, 1, false, Activation::kLinear), {map});
    NodeId last = static_cast<NodeId>(graph.nodes.size()) - 1;
    append(graph, "head.cls." + suffix + ".out", Output{OutputRole::kClass, level}, {last});
    append(graph, "head.box." + suffix, conv(8, 3, 1, false, Activation::kLinear), {map});
    last = static_cast<NodeId>(graph.nodes.size()) - 1;
    append(graph, "head.box." + suffix + ".out", Output{OutputRole::kBox, level}, {last});
    graph.features.push_back(map);
    ++level;
  }
  return graph;
}

TEST(TorchScript, EveryOperatorComputesWhatTheDetectorDoes) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  ExportModel model;
  model.graph = every_operator();
  model.config.model.num_classes = 3;
  Detector detector(model.graph, 3, QuantizationMethods(), model.config.quantization);
  randomise(*detector);
  detector->eval();
  model.detector = [&] { return detector; };
  const auto images = torch::randn({2, 3, 19, 23});
  const auto expected = detector->forward(images);
  const TempFolder folder;
  export_torchscript(folder / "net.pt", model, OnnxHeads::kRaw);
  expect_near(run_script(folder / "net.pt", images), expected, 1e-5);
}

class TorchScriptMethods : public ::testing::TestWithParam<QuantizedCase> {};

TEST_P(TorchScriptMethods, InputsAndWeightsAreQuantizedAsInTheDetector) {
  const torch::NoGradGuard no_grad;
  QuantizedNet net(GetParam());
  const auto expected = net.detector->forward(net.image);
  const TempFolder folder;
  export_torchscript(folder / "net.pt", net.model, OnnxHeads::kRaw);
  expect_near(run_script(folder / "net.pt", net.image), expected, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, TorchScriptMethods, ::testing::ValuesIn(quantized_cases()),
                         [](const auto& instance) { return instance.param.name; });

TEST(TorchScript, RefusesActivationsWithoutCodesByName) {
  const TempFolder folder;
  const QuantizedNet net({"", "lqnet", 3, 3, {}, "true", ""});
  EXPECT_THAT(
      message_of<Error>([&] { export_torchscript(folder / "net.pt", net.model, OnnxHeads::kRaw); }),
      HasSubstr("backbone.0: the values"));
  EXPECT_THAT(message_of<ConfigError>([&] {
                export_torchscript(folder / "net.pt", net.model, OnnxHeads::kDetections);
              }),
              HasSubstr("expected --outputs raw or decoded"));
}

class TorchScriptCells : public OnnxCells {};

TEST_F(TorchScriptCells, DecodesAndTellsHowToFeedIt) {
  const torch::NoGradGuard no_grad;
  load();
  ExportModel model = exported(*subject_);
  model.detector = [this] { return subject_->detector; };
  const auto images = image("00007");
  const auto expected = subject_->detector->forward(images);
  const TempFolder folder;
  const std::string path = folder / "cells.pt";
  export_torchscript(path, model, OnnxHeads::kDecoded);
  const std::string bytes = read_text(path);
  export_torchscript(path, model, OnnxHeads::kDecoded);
  EXPECT_TRUE(read_text(path) == bytes);

  const Outputs outputs = run_script(path, images);
  EXPECT_LT(difference(outputs.scores, expected.class_logits.softmax(2)), 1e-5);
  const auto regressions = expected.box_regression.contiguous();
  std::vector<float> boxes;
  for (size_t i = 0; i < model.priors.size(); ++i) {
    const Box box =
        to_corners(decode(regressions.data_ptr<float>() + 4 * i, model.priors[i], BoxVariances{}));
    boxes.insert(boxes.end(), {box.x1, box.y1, box.x2, box.y2});
  }
  EXPECT_LT(relative_difference(value_of(outputs.boxes).values, boxes), 1e-5);

  torch::jit::ExtraFilesMap extra = {{"metadata.json", ""}};
  torch::jit::load(path, torch::kCPU, extra);
  const auto metadata = nlohmann::json::parse(extra.at("metadata.json"));
  EXPECT_EQ(metadata["class_names"][2], "WBC");
  EXPECT_EQ(metadata["outputs"], "decoded");
  EXPECT_EQ(metadata["pixel_mean"][0], 123);
}

}  // namespace
}  // namespace ssdq::testing
