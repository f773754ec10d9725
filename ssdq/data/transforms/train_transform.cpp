#include "ssdq/data/transforms/train_transform.h"

#include <algorithm>
#include <cmath>

#include <opencv2/imgproc.hpp>

#include "ssdq/data/transforms/geometry.h"
#include "ssdq/data/transforms/photometric.h"

namespace ssdq {
namespace {

constexpr float kLeastSide = 1e-4F;  // of the image; thinner remains of a box are dropped

// One axis of the mapping from source pixels to target pixels: the decoded pixels [from, from + length) land on the
// target pixels [to, to + span).
struct Axis {
  int from = 0, length = 0, to = 0, span = 0;
  double decoded_scale = 1;  // decoded pixels for a source pixel

  float map(float source) const {
    return static_cast<float>(to + (source * decoded_scale - from) * span / length);
  }
};

// Region [low, high) of a source axis of `size` pixels, decoded at `decoded` pixels, onto `target` pixels.
Axis make_axis(int low, int high, int size, int decoded, int target) {
  Axis axis;
  axis.decoded_scale = static_cast<double>(decoded) / size;
  const int inside_low = std::max(low, 0);
  const int inside_high = std::min(high, size);
  axis.from = std::min(static_cast<int>(std::lround(inside_low * axis.decoded_scale)), decoded - 1);
  axis.length = std::max(1, std::min(decoded, static_cast<int>(std::lround(inside_high * axis.decoded_scale))) - axis.from);
  const double ratio = static_cast<double>(target) / (high - low);
  axis.to = std::min(static_cast<int>(std::lround((inside_low - low) * ratio)), target - 1);
  axis.span = std::max(1, std::min(target, static_cast<int>(std::lround((inside_high - low) * ratio))) - axis.to);
  return axis;
}

void flip_in_place(cv::Mat& image, bool mirror, bool vertical) {
  if (mirror || vertical) {
    cv::flip(image, image, mirror && vertical ? -1 : (mirror ? 1 : 0));
  }
}

std::vector<Object> map_objects(const GeometryPlan& plan, const Axis& x, const Axis& y, Size2 target) {
  std::vector<Object> mapped;
  const auto fraction = [](float pixels, int size) {
    return std::clamp(pixels / static_cast<float>(size), 0.0F, 1.0F);
  };
  for (Object object : plan.objects) {
    Box& box = object.box;
    box = {fraction(x.map(box.x1), target.width), fraction(y.map(box.y1), target.height),
           fraction(x.map(box.x2), target.width), fraction(y.map(box.y2), target.height)};
    if (plan.mirror) {
      box = {1 - box.x2, box.y1, 1 - box.x1, box.y2};
    }
    if (plan.flip_vertical) {
      box = {box.x1, 1 - box.y2, box.x2, 1 - box.y1};
    }
    if (box.width() >= kLeastSide && box.height() >= kLeastSide) {
      mapped.push_back(object);
    }
  }
  return mapped;
}

}  // namespace

Normalization make_normalization(const InputConfig& input) {
  Normalization normalization;
  for (size_t c = 0; c < 3; ++c) {
    normalization.mean[c] = static_cast<float>(input.pixel_mean[c]);
    normalization.std[c] = static_cast<float>(input.pixel_std[c]);
  }
  return normalization;
}

TrainTransform::TrainTransform(Size2 image_size, const Normalization& normalization,
                               const AugmentationConfig& augmentation)
    : image_size_(image_size), normalization_(normalization), augmentation_(augmentation) {}

std::vector<Object> TrainTransform::operator()(const EncodedImage& image, const std::vector<Object>& objects,
                                               Random& random, float* out) const {
  const Size2 size = image.size();
  const GeometryPlan plan = plan_geometry(size, objects, augmentation_, random);
  const Photometric draw = augmentation_.photometric ? draw_photometric(random) : Photometric{};
  const double scale = std::max(static_cast<double>(image_size_.width) / plan.region.width(),
                                static_cast<double>(image_size_.height) / plan.region.height());
  const cv::Mat decoded = image.decode(std::min(1.0, scale), /*fast=*/true);
  const Axis x = make_axis(plan.region.x0, plan.region.x1, size.width, decoded.cols, image_size_.width);
  const Axis y = make_axis(plan.region.y0, plan.region.y1, size.height, decoded.rows, image_size_.height);

  thread_local cv::Mat resized;
  cv::resize(decoded(cv::Rect(x.from, y.from, x.length, y.length)), resized, cv::Size(x.span, y.span), 0, 0,
             cv::INTER_LINEAR);
  flip_in_place(resized, plan.mirror, plan.flip_vertical);
  cv::Mat canvas(image_size_.height, image_size_.width, CV_32FC3, out);
  if (x.span != image_size_.width || y.span != image_size_.height) {
    canvas.setTo(0);
  }
  const int left = plan.mirror ? image_size_.width - x.to - x.span : x.to;
  const int top = plan.flip_vertical ? image_size_.height - y.to - y.span : y.to;
  cv::Mat part = canvas(cv::Rect(left, top, x.span, y.span));
  distort_and_normalize(resized, draw, normalization_.mean, normalization_.std, part);
  return map_objects(plan, x, y, image_size_);
}

void test_transform(const cv::Mat& rgb, Size2 image_size, const Normalization& normalization, float* out) {
  thread_local cv::Mat resized;
  cv::resize(rgb, resized, cv::Size(image_size.width, image_size.height), 0, 0, cv::INTER_LINEAR);
  cv::Mat canvas(image_size.height, image_size.width, CV_32FC3, out);
  distort_and_normalize(resized, Photometric{}, normalization.mean, normalization.std, canvas);
}

}  // namespace ssdq
