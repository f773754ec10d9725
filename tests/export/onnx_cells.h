#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "exported_detector.h"
#include "onnx_testing.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/data/image_reader.h"
#include "ssdq/data/transforms/render.h"
#include "ssdq/modeling/state.h"

namespace ssdq::testing {

inline constexpr const char* kBccdConfig = SSDQ_SOURCE_DIR "/configs/vgg_mini_ssd300_bccd.yaml";
inline constexpr const char* kBccdWeights =
    SSDQ_SOURCE_DIR "/datasets/bccd/vgg_mini_ssd300_bccd.safetensors";

// The shipped detector of blood cells beside its ONNX models.
class OnnxCells : public ::testing::Test {
 protected:
  void load(const Overrides& overrides = {}) {
    subject_ = std::make_unique<Subject>(kBccdConfig, overrides);
    load_state_strict(*subject_->detector, inference_weights(load_checkpoint(kBccdWeights)),
                      kBccdWeights);
  }

  // [1, 3, 300, 300], as evaluation makes it.
  torch::Tensor image(const std::string& number) {
    const auto rgb =
        read_image(SSDQ_SOURCE_DIR "/datasets/bccd/JPEGImages/BloodImage_" + number + ".jpg");
    const InputConfig& input = subject_->experiment.config.input;
    size_ = {rgb.rows, rgb.cols};
    auto pixels = torch::empty({1, 300, 300, 3});
    render_whole(rgb, {rgb_floats(input.pixel_mean), rgb_floats(input.pixel_std)}, {300, 300},
                 pixels.data_ptr<float>());
    return pixels.permute({0, 3, 1, 2}).contiguous();
  }

  std::vector<Detections> detect(const torch::Tensor& images) {
    const torch::NoGradGuard no_grad;
    const auto output = subject_->detector->forward(images);
    return build_post_processor(subject_->experiment)
        .run(output.class_logits.contiguous().data_ptr<float>(),
             output.box_regression.contiguous().data_ptr<float>(),
             std::vector<Size2>(images.size(0), size_), 1);
  }

  std::vector<RunOutputs> run(const OnnxOptions& options, const torch::Tensor& images) {
    return run_onnx(build_onnx(exported(*subject_), options), {value_of(images)});
  }

  // Rows of "detections" that belong to an image, in its pixels.
  Detections rows_of(const RunValue& rows, int image) const {
    Detections found;
    const auto width = static_cast<float>(size_.width);
    const auto height = static_cast<float>(size_.height);
    for (size_t i = 0; i + 7 <= rows.values.size(); i += 7) {
      const float* row = &rows.values[i];
      if (static_cast<int>(row[0]) == image) {
        const Box box{row[3] * width, row[4] * height, row[5] * width, row[6] * height};
        found.push_back({box, row[2], static_cast<int>(row[1])});
      }
    }
    return found;
  }

  std::unique_ptr<Subject> subject_;
  Size2 size_;  // of the images' files
};

}  // namespace ssdq::testing
