#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "onnx_cells.h"
#include "ssdq/engine/weights.h"

namespace ssdq::testing {
namespace {

constexpr int kImages = 12;

std::vector<std::string> test_images() {
  std::ifstream list(SSDQ_SOURCE_DIR "/datasets/bccd/ImageSets/Main/test.txt");
  std::vector<std::string> numbers;
  for (std::string name; numbers.size() < kImages && list >> name;) {
    numbers.push_back(name.substr(name.find('_') + 1));
  }
  return numbers;
}

// How the detections of one program, with scores from 0.3, are found among those of another.
struct Agreement {
  size_t count = 0, found = 0;
  double score = 0;  // largest difference of the found
  float overlap = 1;

  void add(const Detections& ours, const Detections& theirs) {
    for (const Detection& one : ours) {
      if (one.score < 0.3F) {
        continue;
      }
      ++count;
      const auto best = std::max_element(
          theirs.begin(), theirs.end(),
          [&](const Detection& a, const Detection& b) { return fit(one, a) < fit(one, b); });
      if (best != theirs.end() && fit(one, *best) > 0.9F &&
          std::abs(one.score - best->score) < 0.02F) {
        ++found;
        score = std::max(score, static_cast<double>(std::abs(one.score - best->score)));
        overlap = std::min(overlap, iou(one.box, best->box));
      }
    }
  }

  static float fit(const Detection& a, const Detection& b) {
    return a.label == b.label ? iou(a.box, b.box) : 0;
  }
};

class OnnxQdqCells : public OnnxCells {
 protected:
  // The shipped float weights with ranges from training images.
  void quantize(const std::string& type, const std::string& bits, const Overrides& more = {}) {
    Overrides overrides = {"QUANTIZATION.TYPE",  type, "QUANTIZATION.WBITS", bits,
                           "QUANTIZATION.ABITS", bits, "QUANTIZATION.FINAL", "true"};
    overrides.insert(overrides.end(), more.begin(), more.end());
    subject_ = std::make_unique<Subject>(kBccdConfig, overrides);
    load_weights_and_ranges(subject_->detector, subject_->experiment, kBccdWeights);
    subject_->detector->eval();
  }

  // Both programs on the test images.
  Agreement compare(bool float_bias = false) {
    ExportModel model = exported(*subject_);
    model.detector = [this] { return subject_->detector; };
    OnnxOptions options = options_of(OnnxHeads::kDetections);
    options.float_bias = float_bias;
    const OnnxModel onnx = build_onnx_qdq(model, options);
    std::vector<RunValue> inputs;
    std::vector<Detections> ours;
    std::vector<Size2> sizes;
    for (const auto& number : test_images()) {
      const auto pixels = image(number);
      inputs.push_back(value_of(pixels));
      ours.push_back(detect(pixels).front());
      sizes.push_back(size_);
    }
    const auto outputs = run_onnx(onnx, inputs);
    Agreement agreement;
    for (size_t i = 0; i < outputs.size(); ++i) {
      size_ = sizes[i];
      const auto theirs = rows_of(outputs[i].at("detections"), 0);
      agreement.add(ours[i], theirs);
      agreement.add(theirs, ours[i]);
    }
    std::cout << fmt::format("{} of {} detections found; scores within {:.1e}, overlap {:.4f}\n",
                             agreement.found, agreement.count, agreement.score, agreement.overlap);
    return agreement;
  }
};

TEST_F(OnnxQdqCells, DetectionsOfACalibratedModelAreThoseOfTheDetector) {
  SSDQ_NEEDS_ONNXRUNTIME();
  quantize("uniform", "8");
  const Agreement agreement = compare();
  EXPECT_GT(agreement.count, 2 * 10 * kImages);
  EXPECT_GE(static_cast<double>(agreement.found), 0.99 * static_cast<double>(agreement.count));
}

// At few bits a bias that is rounded changes more codes.
TEST_F(OnnxQdqCells, FloatBiasesKeepTheDetectionsAtFewBits) {
  SSDQ_NEEDS_ONNXRUNTIME();
  quantize("uniform", "6");
  const Agreement agreement = compare(true);
  EXPECT_GE(static_cast<double>(agreement.found), 0.99 * static_cast<double>(agreement.count));
}

// Batch norm makes up for the other scale of DoReFa's weights once its statistics are theirs.
TEST_F(OnnxQdqCells, DetectionsOfADoReFaModelAreThoseOfTheDetector) {
  SSDQ_NEEDS_ONNXRUNTIME();
  quantize("dorefa", "8", {"QUANTIZATION.FINAL", "false"});
  const torch::NoGradGuard no_grad;
  for (const auto& entry : subject_->detector->convolutions()) {
    if (!entry.second->bn.is_empty()) {
      ConvBlock(entry.second)->bn->reset_running_stats();
      ConvBlock(entry.second)->bn->options.momentum(c10::nullopt);
    }
  }
  subject_->detector->train();
  subject_->detector->forward(
      torch::cat({image("00007"), image("00015"), image("00019"), image("00023")}));
  subject_->detector->eval();
  const Agreement agreement = compare();
  EXPECT_GT(agreement.count, 2 * kImages);
  EXPECT_GE(static_cast<double>(agreement.found), 0.99 * static_cast<double>(agreement.count));
}

// Depthwise convolutions with 8-bit DoReFa weights, whose codes have no zero, and quantized sums.
TEST(OnnxQdqMobileNet, WindowSumsAreExactInDepthwiseConvolutions) {
  SSDQ_NEEDS_ONNXRUNTIME();
  const torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  Subject subject(SSDQ_SOURCE_DIR "/configs/mobilenet_v2_ssd320_bccd_quan_w8a8.yaml",
                  {"QUANTIZATION.TYPE", "dorefa", "QUANTIZATION.MERGE_INPUTS", "shared"});
  subject.detector->train();
  subject.detector->forward(torch::randn({4, 3, 320, 320}));
  subject.detector->eval();
  ExportModel model = exported(subject);
  model.detector = [&] { return subject.detector; };
  OnnxOptions options = options_of(OnnxHeads::kRaw);
  options.float_bias = true;
  const auto images = torch::randn({1, 3, 320, 320});
  const auto expected = subject.detector->forward(images);
  const auto outputs = run_onnx(build_onnx_qdq(model, options), {value_of(images)});
  ASSERT_EQ(outputs.size(), 1);
  EXPECT_LT(
      relative_difference(outputs[0].at("scores").values, value_of(expected.class_logits).values),
      1e-5);
  EXPECT_LT(
      relative_difference(outputs[0].at("boxes").values, value_of(expected.box_regression).values),
      1e-5);
}

}  // namespace
}  // namespace ssdq::testing
