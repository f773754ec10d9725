#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>
#include <opencv2/core.hpp>

#include "ssdq/checkpoint/caffe_file.h"
#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/config/reader.h"
#include "ssdq/data/image_reader.h"
#include "ssdq/data/transforms/render.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/inference.h"
#include "ssdq/engine/registries.h"
#include "ssdq/engine/weights.h"
#include "ssdq/modeling/state.h"
#include "tests/utils/reference_data.h"

namespace ssdq::testing {
namespace {

const std::string kFolder = SSDQ_SOURCE_DIR "/tests/importing/ultralight/";

double relative_error(const torch::Tensor& found, const torch::Tensor& expected) {
  EXPECT_EQ(found.sizes(), expected.sizes());
  return ((found - expected).abs().max() / expected.abs().max()).item<double>();
}

// A published Ultra-Light model against what its ONNX twin gives for the same picture
// (ultralight/README.md).
class Ultralight : public ::testing::Test {
 protected:
  void load(const std::string& config, const std::string& weights, const std::string& golden) {
    const auto loaded = load_config(
        std::string(SSDQ_SOURCE_DIR "/configs/") + config,
        {"MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", weights, "TEST.CONFIDENCE_THRESHOLD", "0.7"});
    experiment_ = build_experiment(loaded.config, loaded.file, registries_);
    detector_ = build_detector(experiment_);
    load_initial_weights(detector_, experiment_);
    detector_->eval();
    for (const auto& [name, tensor] : read_safetensors(kFolder + golden).tensors) {
      golden_[name] = tensor;
    }
  }

  void expect_raw_outputs() {
    const torch::NoGradGuard no_grad;
    const InputConfig& input = experiment_.config.input;
    const auto [height, width] = input.image_size;
    std::vector<float> pixels(static_cast<size_t>(height) * width * 3);
    render_whole(picture_, {rgb_floats(input.pixel_mean), rgb_floats(input.pixel_std)},
                 input.image_size, pixels.data());
    const auto image = torch::from_blob(pixels.data(), {1, height, width, 3}, torch::kFloat);
    const auto found = detector_->forward(image.permute({0, 3, 1, 2}));
    EXPECT_LT(relative_error(found.box_regression[0], golden_.at("boxes")), 1e-4);
    EXPECT_LT(relative_error(found.class_logits[0].softmax(1), golden_.at("scores")), 1e-4);
  }

  void expect_detections() {
    const auto found = detect(detector_, build_post_processor(experiment_), experiment_, picture_);
    const auto& expected = golden_.at("detections");
    ASSERT_EQ(static_cast<int64_t>(found.size()), expected.size(0));
    for (size_t i = 0; i < found.size(); ++i) {
      const auto& [box, score, label] = found[i];
      EXPECT_EQ(label, 1);
      const auto mine = torch::tensor({box.x1, box.y1, box.x2, box.y2, score});
      const auto difference = (mine - expected[static_cast<int64_t>(i)]).abs();
      EXPECT_LT(difference.slice(0, 0, 4).max().item<float>(), 0.01) << "pixels, face " << i;
      EXPECT_LT(difference[4].item<float>(), 1e-4) << "face " << i;
    }
  }

  Registries registries_ = builtin_registries();
  Experiment experiment_;
  Detector detector_ = nullptr;
  cv::Mat picture_ = read_image(kFolder + "faces.png");
  std::map<std::string, torch::Tensor> golden_;
};

TEST_F(Ultralight, SlimGivesTheRawOutputsAndBoxesOfItsOnnxTwin) {
  load("ultralight_slim320_face.yaml", kFolder + "version-slim-320.pth", "slim.safetensors");
  expect_raw_outputs();
  expect_detections();
}

// Where the other published files are; empty when they are not at hand.
std::string published_folder() {
  const auto folder = reference_data("weights/ultralight_face_ssd");
  return folder ? *folder + "/" : "";
}

#define SSDQ_NEEDS_PUBLISHED_FILES() \
  if (published_folder().empty()) GTEST_SKIP() << "SSDQ_REFERENCE_DATA is not set"

// With a block of dilated branches.
TEST_F(Ultralight, RfbGivesTheRawOutputsAndBoxesOfItsOnnxTwin) {
  SSDQ_NEEDS_PUBLISHED_FILES();
  load("ultralight_rfb320_face.yaml", published_folder() + "version-RFB-320.pth",
       "rfb.safetensors");
  expect_raw_outputs();
  expect_detections();
}

// Its layers are called by numbers, heads between the others; batch norms are folded.
TEST_F(Ultralight, TheCaffemodelOfSlimHoldsTheSameWeights) {
  SSDQ_NEEDS_PUBLISHED_FILES();
  const std::set<std::string> heads = {"230", "232", "244", "246", "276", "278", "290",
                                       "292", "316", "318", "330", "332", "350", "362"};
  load("ultralight_slim320_face.yaml", kFolder + "version-slim-320.pth", "slim.safetensors");
  detector_->fold_batch_norm();
  const State folded = state(*detector_);
  const std::map<std::string, torch::Tensor> expected(folded.begin(), folded.end());
  State caffe =
      read_caffe(published_folder() + "slim-320.caffemodel", kFolder + "slim-320.prototxt").tensors;
  std::stable_partition(caffe.begin(), caffe.end(), [&](const auto& entry) {
    return heads.count(entry.first.substr(0, entry.first.find('.'))) == 0;
  });
  const auto& convolutions = detector_->convolutions();
  ASSERT_EQ(caffe.size(), 2 * convolutions.size());
  for (size_t i = 0; i < convolutions.size(); ++i) {
    const std::string& name = convolutions[i].first;
    EXPECT_LT(relative_error(caffe[2 * i].second, expected.at(name + ".weight")), 1e-5) << name;
    EXPECT_LT(relative_error(caffe[2 * i + 1].second, expected.at(name + ".bias")), 1e-5) << name;
  }
}

}  // namespace
}  // namespace ssdq::testing
