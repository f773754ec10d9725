#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "exported_detector.h"
#include "onnx_testing.h"
#include "testing_state.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;

// Those that train in float; the quantized ones have networks of these.
std::vector<std::string> float_configs() {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(SSDQ_SOURCE_DIR "/configs")) {
    const auto name = entry.path().filename().string();
    if (entry.path().extension() == ".yaml" && name.find("_quan_") == std::string::npos) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

class OnnxConfig : public ::testing::TestWithParam<std::string> {};

struct Deviation {
  double scores = 0, boxes = 0;  // fractions of the largest magnitude
};

Deviation deviation(const std::vector<float>& scores, const std::vector<float>& boxes,
                    const DetectorOutput& expected) {
  return {relative_difference(scores, value_of(expected.class_logits).values),
          relative_difference(boxes, value_of(expected.box_regression).values)};
}

// How far float arithmetic alone takes the detector from the exact result at worst, over several
// images, for on one it may be lucky; the detector is in double after.
Deviation rounding(Detector& detector, Size2 size) {
  const auto images = torch::randn({6, 3, size.height, size.width});
  const auto output = detector->forward(images);
  detector->to(torch::kDouble);
  return deviation(value_of(output.class_logits).values, value_of(output.box_regression).values,
                   detector->forward(images.to(torch::kDouble)));
}

// Weights drawn at random magnify rounding where a clipped activation keeps little of a large sum.
// Where the detector itself is more than 1e-4 / 3 from the exact result, the runtime is granted
// three times that.
TEST_P(OnnxConfig, RawOutputsAreThoseOfTheDetector) {
  SSDQ_NEEDS_ONNXRUNTIME();
  const torch::NoGradGuard no_grad;
  torch::manual_seed(7);
  Subject subject(GetParam());
  randomise(*subject.detector);
  const Size2 size = subject.experiment.config.input.image_size;
  const auto images = torch::randn({1, 3, size.height, size.width});
  const auto expected = subject.detector->forward(images);
  const auto outputs =
      run_onnx(build_onnx(exported(subject), options_of(OnnxHeads::kRaw)), {value_of(images)});
  ASSERT_EQ(outputs.size(), 1);
  const auto& scores = outputs[0].at("scores");
  const auto& boxes = outputs[0].at("boxes");
  EXPECT_EQ(scores.dims, expected.class_logits.sizes().vec());
  EXPECT_EQ(boxes.dims, expected.box_regression.sizes().vec());
  const Deviation found = deviation(scores.values, boxes.values, expected);
  Deviation allowed{1e-4, 1e-4};
  if (!(found.scores < allowed.scores && found.boxes < allowed.boxes)) {
    const Deviation own = rounding(subject.detector, size);
    allowed = {std::max(1e-4, 3 * own.scores), std::max(1e-4, 3 * own.boxes)};
  }
  EXPECT_LT(found.scores, allowed.scores);
  EXPECT_LT(found.boxes, allowed.boxes);
  std::cout << fmt::format("scores {:.1e}, boxes {:.1e}; allowed {:.1e}, {:.1e}\n", found.scores,
                           found.boxes, allowed.scores, allowed.boxes);
}

INSTANTIATE_TEST_SUITE_P(All, OnnxConfig, ::testing::ValuesIn(float_configs()),
                         [](const auto& of) { return fs::path(of.param).stem().string(); });

}  // namespace
}  // namespace ssdq::testing
