#include <cmath>

#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>

#include "ssdq/data/transforms/geometry.h"
#include "ssdq/data/transforms/photometric.h"
#include "ssdq/data/transforms/render.h"

namespace ssdq {
namespace {

cv::Vec3f distort_with_opencv(cv::Vec3f rgb, const Photometric& how) {
  cv::Mat pixel(
      1, 1, CV_32FC3,
      cv::Scalar((rgb[0] + how.offset) * how.gain_before, (rgb[1] + how.offset) * how.gain_before,
                 (rgb[2] + how.offset) * how.gain_before));
  cv::cvtColor(pixel, pixel, cv::COLOR_RGB2HSV);
  auto& hsv = pixel.at<cv::Vec3f>(0, 0);
  hsv[1] *= how.saturation;
  hsv[0] = std::fmod(hsv[0] + how.hue + 360.0F, 360.0F);
  cv::cvtColor(pixel, pixel, cv::COLOR_HSV2RGB);
  const auto out = pixel.at<cv::Vec3f>(0, 0) * how.gain_after;
  return {out[how.order[0]], out[how.order[1]], out[how.order[2]]};
}

TEST(Photometric, EqualsOpenCvsFloatHsv) {
  Random random(1);
  for (int trial = 0; trial < 500; ++trial) {
    const Photometric how = draw_photometric(random);
    std::array<float, 3> in{};
    for (float& value : in) {
      value = static_cast<float>(random.below(224) + 32);
    }
    const cv::Vec3f expected = distort_with_opencv({in[0], in[1], in[2]}, how);
    std::array<float, 3> out{};
    distort_row(how, {0, 0, 0}, {1, 1, 1}, {&in[0], &in[1], &in[2]}, 1, out.data());
    for (int c = 0; c < 3; ++c) {
      EXPECT_NEAR(out[c], expected[c], 0.01) << "trial " << trial;
    }
  }
}

TEST(DrawSample, KeepsCentredObjectsInsideTheUnitSquare) {
  AugmentationConfig how;
  how.flip_vertical = true;
  Object object;
  object.box = {100, 50, 180, 160};
  object.label = 4;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const Sample sample = draw_sample(how, {200, 300}, {object}, random);
    ASSERT_EQ(sample.objects.size(), 1U) << "a crop holds a centre of some object";
    const Box& box = sample.objects[0].box;
    EXPECT_TRUE(box.x1 >= 0 && box.y1 >= 0 && box.x2 <= 1 && box.y2 <= 1 && box.width() > 0 &&
                box.height() > 0);
    EXPECT_EQ(sample.objects[0].label, 4);
  }
}

TEST(RenderView, PutsBoxesWhereTheirPixelsGo) {
  cv::Mat image(200, 300, CV_8UC3, cv::Scalar::all(0));
  image(cv::Rect(100, 50, 80, 110)).setTo(cv::Scalar::all(255));
  Object object;
  object.box = {100, 50, 180, 160};
  AugmentationConfig how;
  how.flip_vertical = true;
  std::vector<float> out(300 * 300 * 3);
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed);
    const Sample sample = draw_sample(how, {200, 300}, {object}, random);
    render_view(image, {200, 300}, sample.view, {}, {{0, 0, 0}, {1, 1, 1}}, {300, 300}, out.data());
    double sum = 0;
    for (const float value : out) {
      sum += value / 255.0 / 3 / 90000;
    }
    const Box& box = sample.objects[0].box;
    EXPECT_NEAR(sum, box.area(), 0.012);
    const int x = static_cast<int>((box.x1 + box.x2) * 150);
    const int y = static_cast<int>((box.y1 + box.y2) * 150);
    EXPECT_FLOAT_EQ(out[(y * 300 + x) * 3], 255);
  }
}

TEST(RenderView, OfTheWholeImageIsTheTransformOfEvaluation) {
  cv::Mat image(120, 90, CV_8UC3);
  cv::randu(image, 0, 255);
  const Normalisation how{{123, 117, 104}, {58, 57, 59}};
  std::vector<float> view(64 * 80 * 3);
  std::vector<float> whole(view.size());
  render_view(image, {120, 90}, {{0, 0, 90, 120}}, {}, how, {64, 80}, view.data());
  render_whole(image, how, {64, 80}, whole.data());
  for (size_t i = 0; i < view.size(); ++i) {
    EXPECT_NEAR(view[i], whole[i], 1.0 / 57);
  }
}

}  // namespace
}  // namespace ssdq
