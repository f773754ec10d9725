#include "ssdq/export/onnx_qdq.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../utils/temp_folder.h"
#include "exported_detector.h"
#include "onnx_testing.h"
#include "quantized_net.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

// Moves the biases to multiples of the steps that int32 biases have, so that rounding them changes
// nothing.
void round_biases(QuantizedNet& net) {
  const torch::NoGradGuard no_grad;
  for (const auto& entry : net.detector->convolutions()) {
    ConvBlock block = entry.second;
    const IntegerConv conv = integer_conv(*block);
    if (!conv.is_integer()) {
      continue;
    }
    const Int8Weight weight = int8_weight(conv, entry.first);
    torch::Tensor bias = block->bn.is_empty() ? block->bias : block->bn->bias;
    for (size_t c = 0; c < conv.scale.size(); ++c) {
      const double step = conv.input->scale * weight.scale[c];
      bias[static_cast<int64_t>(c)] +=
          std::nearbyint(conv.real_bias[c] / step) * step - conv.real_bias[c];
    }
  }
}

struct RawOutputs {
  std::vector<float> scores, boxes;
};

RawOutputs own_outputs(QuantizedNet& net) {
  const auto output = net.detector->forward(net.image);
  return {value_of(output.class_logits).values, value_of(output.box_regression).values};
}

double difference(const RawOutputs& a, const RawOutputs& b) {
  return std::max(relative_difference(a.scores, b.scores), relative_difference(a.boxes, b.boxes));
}

RawOutputs run(const OnnxModel& model, const torch::Tensor& image) {
  const auto outputs = run_onnx(model, {value_of(image)});
  return outputs.empty()
             ? RawOutputs()
             : RawOutputs{outputs[0].at("scores").values, outputs[0].at("boxes").values};
}

OnnxModel with_codes(const ExportModel& model, int opset = 17, bool float_bias = false) {
  OnnxOptions options = options_of(OnnxHeads::kRaw);
  options.opset = opset;
  options.float_bias = float_bias;
  return build_onnx_qdq(model, options);
}

class OnnxQdq : public ::testing::TestWithParam<QuantizedCase> {};

// A seed without values next to a rounding tie: with float biases, or those that int32 holds, the
// difference is that of float arithmetic; with others codes next to a tie change, and what follows
// by a step or two, which are the larger the fewer bits there are.
TEST_P(OnnxQdq, OnnxRuntimeComputesWhatTheDetectorDoes) {
  SSDQ_NEEDS_ONNXRUNTIME();
  const torch::NoGradGuard no_grad;
  QuantizedNet net(GetParam());
  const RawOutputs own = own_outputs(net);
  const double rounded = difference(run(with_codes(net.model, 13), net.image), own);
  const double floats = difference(run(with_codes(net.model, 19, true), net.image), own);
  round_biases(net);
  const double exact = difference(run(with_codes(net.model), net.image), own_outputs(net));
  EXPECT_LT(rounded, std::max(0.05, 2.0 / ((1 << std::min(GetParam().abits, 8)) - 1)));
  EXPECT_LT(floats, 1e-5);
  EXPECT_LT(exact, 1e-5);
  std::cout << fmt::format("biases rounded: {:.1e}, float: {:.1e}, exact in int32: {:.1e}\n",
                           rounded, floats, exact);
}

// Without a runtime: the same weights, with scales that are positive.
TEST_P(OnnxQdq, Int8CodesStandForTheWeightsOfTheDetector) {
  const QuantizedNet net(GetParam());
  for (const auto& entry : net.detector->convolutions()) {
    const IntegerConv conv = integer_conv(*ConvBlock(entry.second));
    if (!conv.weight) {
      continue;
    }
    const Int8Weight weight = int8_weight(conv, entry.first);
    const size_t length = weight.codes.size() / weight.scale.size();
    ASSERT_EQ(weight.codes.size(), conv.weight->codes.size());
    for (size_t i = 0; i < weight.codes.size(); ++i) {
      const size_t c = i / length;
      const int64_t value =
          conv.weight->multiplier * conv.weight->codes[i] + conv.weight->shift_of(c);
      const double expected =
          conv.scale[c] / (conv.input ? conv.input->scale : 1) * static_cast<double>(value);
      EXPECT_NEAR(weight.scale[c] * weight.codes[i] + weight.window[c], expected,
                  1e-12 * weight.scale[c])
          << entry.first << ' ' << i;
      EXPECT_GT(weight.scale[c], 0) << entry.first;
    }
  }
}

TEST_P(OnnxQdq, PassesTheChecker) {
  SSDQ_NEEDS_CHECKER();
  const QuantizedNet net(GetParam());
  EXPECT_EQ(check_onnx(with_codes(net.model, 13)), "");
}

INSTANTIATE_TEST_SUITE_P(Methods, OnnxQdq, ::testing::ValuesIn(quantized_cases()),
                         [](const auto& instance) { return instance.param.name; });

// Operators and the types of constants that a model has.
struct Contents {
  std::multiset<std::string> operators;
  std::multiset<OnnxType> constants;
  std::set<std::string> names;

  explicit Contents(const OnnxModel& model) {
    for (const OnnxNode& node : model.nodes) {
      operators.insert(node.op_type);
      names.insert(node.name);
    }
    for (const OnnxTensor& tensor : model.initializers) {
      constants.insert(tensor.type);
    }
  }
};

TEST(OnnxQdqContents, PassesTheCheckerWithSuppression) {
  SSDQ_NEEDS_CHECKER();
  const QuantizedNet net({"", "dorefa", 8, 8, {}, "true", ""});
  EXPECT_EQ(check_onnx(build_onnx_qdq(net.model, options_of(OnnxHeads::kDetections))), "");
}

TEST(OnnxQdqContents, HoldsCodesOfEachEdgeOnceAndOfEachChannel) {
  const QuantizedNet net({"", "uniform", 8, 8, {}, "true", ""});
  const OnnxModel model = with_codes(net.model);
  const Contents found(model);
  EXPECT_EQ(found.operators.count("Conv"), 7);
  // 7 inputs of convolutions, of which the heads share one, and 2 of the sum, one of them shared.
  EXPECT_EQ(found.operators.count("QuantizeLinear"), 7);
  EXPECT_EQ(found.operators.count("DequantizeLinear"), 7 + 7 + 7);
  EXPECT_EQ(found.operators.count("Clip"), 1);  // the ReLU6: codes fill their types
  EXPECT_EQ(found.constants.count(OnnxType::kInt32), 7);
  EXPECT_EQ(found.constants.count(OnnxType::kUint8), 4);
  EXPECT_EQ(model.metadata.at("quantization"), "uniform");
}

// Only where int8 does not hold the integers of the weight.
TEST(OnnxQdqContents, AddsTheSumOverTheWindowWhereItIsNeeded) {
  const auto windows = [](const QuantizedCase& how) {
    const Contents found(with_codes(QuantizedNet(how).model));
    return std::count_if(found.names.begin(), found.names.end(),
                         [](const std::string& name) { return ends_with(name, "/window"); });
  };
  EXPECT_EQ(windows({"", "dorefa", 8, 8, {}, "true", ""}), 7);
  EXPECT_EQ(windows({"", "dorefa", 7, 8, {}, "true", ""}), 0);
  EXPECT_EQ(windows({"", "lsq", 8, 8, {}, "true", ""}), 0);
  EXPECT_EQ(windows({"", "bwn", 2, 32, {}, "true", ""}), 0);
}

// A batch norm that multiplies by nothing leaves its bias, whose int32 has a scale of its own.
TEST(OnnxQdqContents, AChannelWithoutInputKeepsItsBias) {
  SSDQ_NEEDS_ONNXRUNTIME();
  const torch::NoGradGuard no_grad;
  QuantizedNet net({"", "uniform", 8, 8, {}, "true", ""});
  const ConvBlock block = net.detector->convolutions()[2].second;
  block->bn->weight[1] = 0;
  block->bn->weight[2] = 1e-12;
  round_biases(net);
  EXPECT_LT(difference(run(with_codes(net.model), net.image), own_outputs(net)), 1e-5);
}

TEST(OnnxQdqContents, RefusesByNameWhatInt8CannotHold) {
  const auto message = [](const QuantizedCase& how, int opset = 17) {
    const QuantizedNet net(how);
    return message_of<Error>([&] { with_codes(net.model, opset); });
  };
  EXPECT_THAT(message({"", "lqnet", 3, 3, {}, "true", ""}), HasSubstr("backbone.0: the values"));
  EXPECT_THAT(message({"", "bwn", 2, 2, {}, "true", ""}), HasSubstr("backbone.0: the values"));
  EXPECT_THAT(message({"", "lsq", 8, 9, {}, "true", ""}),
              HasSubstr("backbone.0: its input has codes of 9 bits"));
  EXPECT_THAT(message({"", "uniform", 9, 8, {}, "true", ""}),
              HasSubstr("backbone.0: its weights take whole numbers from"));
  EXPECT_THAT(message({"", "none", 8, 8, {}, "true", ""}), HasSubstr("take the format onnx"));
  EXPECT_THAT(message({"", "lsq", 8, 8, {}, "true", ""}, 12),
              HasSubstr("--opset must be in 13..19, got 12"));
}

}  // namespace
}  // namespace ssdq::testing
