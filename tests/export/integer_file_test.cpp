#include "ssdq/export/integer_file.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../utils/temp_folder.h"
#include "integer_net.h"
#include "quantized_net.h"

namespace ssdq::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using Map = IntegerNet::Map;
using Codes = IntegerNet::Codes;

using Case = QuantizedCase;
using Subject = QuantizedNet;

Map numbers(const torch::Tensor& x) {
  const torch::Tensor wide = x.detach().to(torch::kDouble).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

// A network beside what was exported of it.
struct Comparison {
  Subject subject;
  TempFolder folder;
  std::map<std::string, torch::Tensor> outputs;  // of the detector
  int different = 0;                             // codes, near ties

  explicit Comparison(const Case& how) : subject(how) {
    const torch::NoGradGuard no_grad;
    export_integers(folder / "net.bin", subject.model);
    subject.detector->run(subject.image, [&](NodeId id, const torch::Tensor& y) {
      outputs[subject.model.graph.nodes[id].name] = y.clone();
    });
  }

  const Graph& graph() const { return subject.model.graph; }

  // The codes that a convolution of the detector sees.
  Codes input_codes(const std::string& name, const json& code) const {
    for (const auto& [node, block] : subject.detector->convolutions()) {
      if (node == name) {
        const ConvBlockOptions& options = block->options();
        torch::Tensor x =
            outputs.at(graph().nodes[graph().nodes[graph().find(name)].inputs[0]].name);
        x = options.input_is_quantized ? x : options.input_quantizer->forward(x);
        const double zero = code["zero_point"];
        Codes codes;
        for (const double value : numbers(x)) {
          codes.push_back(std::llround(value / code["scale"].get<double>() + zero));
        }
        return codes;
      }
    }
    return {};
  }

  // Returns how many differ.
  static int expect_codes(const Codes& actual, const Codes& expected, const Map& positions,
                          double margin, const std::string& where) {
    EXPECT_EQ(actual.size(), expected.size());
    int count = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
      if (actual[i] != expected[i]) {
        const double tie = std::abs(positions[i] - std::floor(positions[i]) - 0.5);
        EXPECT_LE(std::abs(actual[i] - expected[i]), 1) << where << ' ' << i;
        EXPECT_LT(tie, margin) << where << ' ' << i;
        ++count;
      }
    }
    return count;
  }
};

double largest(const Map& x) {
  double most = 0;
  for (const double value : x) {
    most = std::max(most, std::abs(value));
  }
  return most;
}

double difference(const Map& a, const Map& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::abs(a[i] - b[i]));
  }
  return most;
}

constexpr double kNearTie = 1e-4;  // codes

class IntegerFile : public ::testing::TestWithParam<Case> {};

// Each layer gets the detector's own codes, so that one difference does not spread.
void compare_layer(Comparison& both, const IntegerNet& net, const json& node) {
  const std::string name = node["name"];
  const Codes input = both.input_codes(name, node["input_code"]);
  const Map y = net.convolve_codes(node, input);
  const auto& graph = both.graph();
  for (const Node& consumer : graph.nodes) {
    if (consumer.inputs.empty() || graph.nodes[consumer.inputs[0]].name != name) {
      continue;
    }
    if (std::holds_alternative<Output>(consumer.op)) {
      const Map expected = numbers(both.outputs.at(name));
      EXPECT_LT(difference(y, expected), 1e-5 * largest(expected)) << name;
    } else if (const json& next = net.node(consumer.name);
               next.contains("input_code") && !next["input_code"].is_null()) {
      const json& code = next["input_code"];
      both.different += Comparison::expect_codes(
          IntegerNet::encode(code, y), both.input_codes(consumer.name, code),
          IntegerNet::positions(code, y), kNearTie, name + ", real");
    }
  }
  if (!node.contains("requantize")) {
    return;
  }
  const Codes sums = net.accumulate(node, input);
  for (const json& to : node["requantize"]) {
    const json& next = net.node(to["consumer"]);
    const json& code = next.contains("input_code") ? next["input_code"]
                                                   : next["input_codes"][to["input"].get<size_t>()];
    // The bias is rounded to a step of the accumulator.
    const double step = largest(net.reals(to["factor"]));
    Comparison::expect_codes(net.requantize(node, to, sums), IntegerNet::encode(code, y),
                             IntegerNet::positions(code, y), step / 2 + kNearTie,
                             name + " to " + to["consumer"].get<std::string>());
  }
}

TEST_P(IntegerFile, ALoopOverTheManifestComputesWhatTheDetectorDoes) {
  const torch::NoGradGuard no_grad;
  Comparison both(GetParam());
  const IntegerNet net(both.folder / "net.bin");
  int layers = 0, requantized = 0;
  for (const json& node : net.manifest()["nodes"]) {
    if (node.contains("input_code") && !node["input_code"].is_null()) {
      compare_layer(both, net, node);
      requantized += static_cast<int>(node.value("requantize", json::array()).size());
      ++layers;
    }
  }
  const bool has_codes = GetParam().abits < 16;
  EXPECT_EQ(layers, has_codes ? (GetParam().final_layer == "true" ? 7 : 5) : 0);
  if (GetParam().type != "lsq_plus") {  // whose zero points may be whole or not
    EXPECT_EQ(requantized > 0, has_codes);
  }
  EXPECT_EQ(net.node("backbone.3")["weight"]["type"], GetParam().weight_type);
  const auto maps = net.run(numbers(both.subject.image));
  RecordProperty("different", both.different);
  for (const char* output : {"head.cls.0.out", "head.box.0.out"}) {
    const Map expected = numbers(both.outputs.at(output));
    // A code on the other side of a tie changes what follows by a step.
    const double allowed = both.different == 0 ? 1e-5 : 0.1;
    EXPECT_LT(difference(maps.at(output), expected), allowed * largest(expected)) << output;
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, IntegerFile, ::testing::ValuesIn(quantized_cases()),
                         [](const auto& instance) { return instance.param.name; });

// A batch norm that multiplies by zero leaves its bias.
TEST(IntegerFileEdges, AChannelWithoutInputKeepsItsBias) {
  const torch::NoGradGuard no_grad;
  Case how{"", "uniform", 8, 8, {}, "true", "int8"};
  Subject subject(how);
  ConvBlock block = subject.detector->convolutions()[2].second;
  block->bn->weight[1] = 0;
  block->bn->weight[2] = 1e-12;
  const TempFolder folder;
  export_integers(folder / "net.bin", subject.model);
  const IntegerNet net(folder / "net.bin");
  const json& node = net.node("backbone.2");
  EXPECT_EQ(node["constant_channels"], (json{1, 2}));
  const auto maps = net.run(numbers(subject.image));
  const auto outputs = subject.detector->run(subject.image);
  const Map expected = numbers(outputs[0]);
  EXPECT_LT(difference(maps.at("head.cls.0.out"), expected), 1e-5 * largest(expected));
  const auto bias = net.integers(node["bias"]);
  EXPECT_NEAR(static_cast<double>(bias[1]) * net.reals(node["scale"])[1],
              block->bn->bias[1].item<double>(), 1e-6);
}

TEST(IntegerFileEdges, TheSizeIsThatOfTheBits) {
  std::map<int, size_t> bytes;
  for (const int bits : {2, 4, 8}) {
    Subject subject({"", "uniform", bits, 8, {}, "true", ""});
    const TempFolder folder;
    export_integers(folder / "net.bin", subject.model);
    const IntegerNet net(folder / "net.bin");
    bytes[bits] = net.node("backbone.3")["weight"]["bytes"];
    EXPECT_EQ(net.manifest()["binary"]["bytes"], read_text(folder / "net.bin").size());
  }
  EXPECT_EQ(bytes, (std::map<int, size_t>{{2, 324}, {4, 648}, {8, 1296}}));
}

TEST(IntegerFileEdges, RefusesWhatHasNoIntegersByName) {
  const TempFolder folder;
  const auto message = [&](const Case& how) {
    const Subject subject(how);
    return message_of<Error>([&] { export_integers(folder / "net.bin", subject.model); });
  };
  EXPECT_THAT(message({"", "lqnet", 3, 3, {}, "true", ""}), HasSubstr("backbone.0: the values"));
  EXPECT_THAT(message({"", "bwn", 2, 2, {}, "true", ""}), HasSubstr("backbone.0: the values"));
  EXPECT_THAT(message({"", "none", 8, 8, {}, "true", ""}), HasSubstr("for quantized models"));
}

}  // namespace
}  // namespace ssdq::testing
