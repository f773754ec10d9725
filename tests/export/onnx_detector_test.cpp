#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../utils/temp_folder.h"
#include "onnx_cells.h"
#include "onnx_testing.h"
#include "ssdq/utils/error.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

Detections above(const Detections& detections, float score) {
  Detections kept;
  std::copy_if(detections.begin(), detections.end(), std::back_inserter(kept),
               [&](const Detection& one) { return one.score > score; });
  return kept;
}

void expect_same(const Detections& actual, const Detections& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].label, expected[i].label) << i;
    EXPECT_NEAR(actual[i].score, expected[i].score, 1e-4) << i;
    EXPECT_NEAR(actual[i].box.x1, expected[i].box.x1, 0.05) << i;
    EXPECT_NEAR(actual[i].box.y1, expected[i].box.y1, 0.05) << i;
    EXPECT_NEAR(actual[i].box.x2, expected[i].box.x2, 0.05) << i;
    EXPECT_NEAR(actual[i].box.y2, expected[i].box.y2, 0.05) << i;
  }
}

TEST_F(OnnxCells, DecodedOutputsAreProbabilitiesAndBoxes) {
  SSDQ_NEEDS_ONNXRUNTIME();
  load();
  const torch::NoGradGuard no_grad;
  const auto images = image("00007");
  const auto output = subject_->detector->forward(images);
  const auto outputs = run(options_of(OnnxHeads::kDecoded), images);
  ASSERT_EQ(outputs.size(), 1);
  EXPECT_LT(relative_difference(outputs[0].at("scores").values,
                                value_of(output.class_logits.softmax(2)).values),
            1e-5);
  const auto regressions = output.box_regression.contiguous();
  std::vector<float> boxes;
  for (size_t i = 0; i < subject_->experiment.priors.size(); ++i) {
    const Box box = to_corners(decode(regressions.data_ptr<float>() + 4 * i,
                                      subject_->experiment.priors[i], BoxVariances{}));
    boxes.insert(boxes.end(), {box.x1, box.y1, box.x2, box.y2});
  }
  EXPECT_LT(relative_difference(outputs[0].at("boxes").values, boxes), 1e-5);
}

TEST_F(OnnxCells, SigmoidScoresAreThoseOfThePostProcessor) {
  SSDQ_NEEDS_ONNXRUNTIME();
  load({"MODEL.BOX_HEAD.SCORES", "sigmoid"});
  const torch::NoGradGuard no_grad;
  const auto images = image("00007");
  const auto logits = subject_->detector->forward(images).class_logits;
  const auto outputs = run(options_of(OnnxHeads::kDecoded), images);
  ASSERT_EQ(outputs.size(), 1);
  EXPECT_LT(relative_difference(outputs[0].at("scores").values, value_of(logits.sigmoid()).values),
            1e-5);
  const auto detections = run(options_of(OnnxHeads::kDetections), images);
  ASSERT_EQ(detections.size(), 1);
  const auto expected = above(detect(images).front(), 0.9F);
  EXPECT_GE(expected.size(), 5);
  expect_same(above(rows_of(detections[0].at("detections"), 0), 0.9F), expected);
}

TEST_F(OnnxCells, DetectionsAreThoseOfThePostProcessor) {
  SSDQ_NEEDS_ONNXRUNTIME();
  load();
  for (const char* number : {"00007", "00011", "00015"}) {
    const auto images = image(number);
    const auto expected = above(detect(images).front(), 0.3F);
    for (const int static_batch : {0, 1}) {
      const auto outputs = run(options_of(OnnxHeads::kDetections, static_batch), images);
      ASSERT_EQ(outputs.size(), 1);
      EXPECT_GE(expected.size(), 5) << number;
      expect_same(above(rows_of(outputs[0].at("detections"), 0), 0.3F), expected);
    }
  }
}

// Each limit alone, then all of them, on two images at once.
TEST_F(OnnxCells, LimitsHoldForEachImageOfABatch) {
  SSDQ_NEEDS_ONNXRUNTIME();
  const std::vector<Overrides> limits = {
      {"TEST.CANDIDATES_PER_CLASS", "20", "TEST.MAX_PER_IMAGE", "-1"},
      {"TEST.MAX_PER_CLASS", "3", "TEST.CANDIDATES_PER_CLASS", "-1"},
      {"TEST.MAX_PER_IMAGE", "7", "TEST.NMS_THRESHOLD", "0.3"},
      {"TEST.CANDIDATES_PER_CLASS", "30", "TEST.MAX_PER_CLASS", "4", "TEST.MAX_PER_IMAGE", "9"}};
  std::vector<size_t> counts;
  for (const auto& overrides : limits) {
    load(overrides);
    const auto images = torch::cat({image("00007"), image("00011")});
    const auto expected = detect(images);
    for (const int static_batch : {0, 2}) {
      const auto outputs = run(options_of(OnnxHeads::kDetections, static_batch), images);
      ASSERT_EQ(outputs.size(), 1);
      for (const int i : {0, 1}) {
        expect_same(rows_of(outputs[0].at("detections"), i), expected[i]);
      }
    }
    counts.push_back(expected[0].size());
  }
  EXPECT_EQ(counts[1], 9);
  EXPECT_EQ(counts[2], 7);
  EXPECT_EQ(counts[3], 9);
}

TEST_F(OnnxCells, AnImageWithoutDetectionsGivesNoRows) {
  SSDQ_NEEDS_ONNXRUNTIME();
  load({"TEST.CONFIDENCE_THRESHOLD", "0.9999"});
  const auto images = torch::zeros({1, 3, 300, 300});
  for (const int static_batch : {0, 1}) {
    const auto outputs = run(options_of(OnnxHeads::kDetections, static_batch), images);
    ASSERT_EQ(outputs.size(), 1);
    EXPECT_EQ(outputs[0].at("detections").dims, (std::vector<int64_t>{0, 7}));
  }
}

TEST_F(OnnxCells, EveryOpsetGivesTheSameDetections) {
  SSDQ_NEEDS_ONNXRUNTIME();
  load();
  const auto images = image("00007");
  const auto expected = above(detect(images).front(), 0.3F);
  for (int opset = kLeastOnnxOpset; opset <= kGreatestOnnxOpset; ++opset) {
    auto options = options_of(OnnxHeads::kDetections);
    options.opset = opset;
    const auto outputs = run(options, images);
    ASSERT_EQ(outputs.size(), 1) << opset;
    expect_same(above(rows_of(outputs[0].at("detections"), 0), 0.3F), expected);
  }
}

TEST_F(OnnxCells, PassTheChecker) {
  SSDQ_NEEDS_CHECKER();
  load();
  for (const auto heads : {OnnxHeads::kRaw, OnnxHeads::kDecoded, OnnxHeads::kDetections}) {
    for (const int opset : {11, 17}) {
      auto options = options_of(heads, opset == 11 ? 3 : 0);
      options.opset = opset;
      EXPECT_EQ(check_onnx(build_onnx(exported(*subject_), options)), "");
    }
  }
}

class OnnxDetector : public ::testing::Test {
 protected:
  OnnxDetector() : subject_(kBccdConfig), model_(exported(subject_)) {}

  std::string refusal(const OnnxOptions& options) const {
    return message_of<ConfigError>([&] { build_onnx(model_, options); });
  }

  Subject subject_;
  ExportModel model_;
};

TEST_F(OnnxDetector, MetadataTellHowToFeedAndReadIt) {
  const auto model = build_onnx(model_, options_of(OnnxHeads::kDecoded, 4));
  EXPECT_EQ(model.metadata.at("class_names"), R"(["background","RBC","WBC","Platelets"])");
  EXPECT_EQ(model.metadata.at("input_size"), "[300,300]");
  EXPECT_EQ(model.metadata.at("pixel_mean"), "[123.0,117.0,104.0]");
  EXPECT_EQ(model.metadata.at("nms_threshold"), "0.45");
  EXPECT_EQ(model.metadata.at("num_priors"), "8732");
  EXPECT_EQ(model.metadata.at("outputs"), "decoded");
  EXPECT_EQ(model.metadata.at("scores"), "softmax");
  EXPECT_EQ(model.producer_name, "SSDQ");
  EXPECT_EQ(model.inputs[0].dims,
            (std::vector<OnnxDim>{int64_t{4}, int64_t{3}, int64_t{300}, int64_t{300}}));
  EXPECT_EQ(model.ir_version, 8);
}

TEST_F(OnnxDetector, NamesTheOptionThatIsOutOfRange) {
  OnnxOptions options;
  options.opset = 10;
  EXPECT_THAT(refusal(options), HasSubstr("--opset must be in 11..19, got 10"));
  options.opset = 11;
  options.ir_version = 3;
  EXPECT_THAT(refusal(options), HasSubstr("--ir-version"));
  EXPECT_THAT(refusal(options_of(OnnxHeads::kRaw, -1)), HasSubstr("--static-batch"));
  EXPECT_THAT(message_of<ConfigError>([] { parse_onnx_heads("detection"); }),
              HasSubstr("did you mean 'detections'"));
}

TEST_F(OnnxDetector, RefusesAQuantizedConfiguration) {
  Subject quantized(SSDQ_SOURCE_DIR "/configs/vgg_mini_ssd300_bccd_quan_w8a8.yaml");
  const auto model = exported(quantized);
  EXPECT_THAT(message_of<ConfigError>([&] { build_onnx(model, {}); }),
              HasSubstr("format onnx is FP32"));
}

TEST_F(OnnxDetector, RefusesWeightsOfAnotherNetwork) {
  model_.state.pop_back();
  const auto message = message_of<Error>([&] { build_onnx(model_, {}); });
  EXPECT_THAT(message, HasSubstr("weights: not the weights of this network"));
  EXPECT_THAT(message, HasSubstr("1 tensors missing"));
}

}  // namespace
}  // namespace ssdq::testing
