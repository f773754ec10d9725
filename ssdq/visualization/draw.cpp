#include "ssdq/visualization/draw.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"
#include "ssdq/visualization/labels.h"

namespace ssdq {
namespace {

constexpr int kMontageGap = 4;  // pixels between images and around them
constexpr int kMontageGrey = 48;

// Hue in turns [0, 1), saturation and value in [0, 1].
cv::Scalar from_hsv(double hue, double saturation, double value) {
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + hue * 6, 6.0);
    const double part = std::clamp(std::min(k, 4 - k), 0.0, 1.0);
    return std::round(255 * value * (1 - saturation * part));
  };
  return {channel(5), channel(3), channel(1)};
}

void check_image(const cv::Mat& image, const char* what) {
  SSDQ_CHECK(
      !image.empty() && image.type() == CV_8UC3,
      "{}: expected an 8-bit image of 3 channels, got {} x {} of {} channels and {} bytes each",
      what, image.cols, image.rows, image.channels(), image.elemSize1());
}

// The pixels a box covers, inside the image; empty when the box lies outside.
cv::Rect covered_pixels(const Box& box, const cv::Size& image) {
  const auto clip = [](float value, int limit) {
    return static_cast<int>(std::clamp(value, 0.0F, static_cast<float>(limit)));
  };
  const int x1 = clip(std::floor(box.x1), image.width);
  const int y1 = clip(std::floor(box.y1), image.height);
  const int x2 = clip(std::ceil(box.x2), image.width);
  const int y2 = clip(std::ceil(box.y2), image.height);
  return x2 > x1 && y2 > y1 ? cv::Rect(x1, y1, x2 - x1, y2 - y1) : cv::Rect();
}

void draw_frame(cv::Mat& image, const cv::Rect& box, const cv::Scalar& color, int width) {
  const int dx = std::min(width, box.width);
  const int dy = std::min(width, box.height);
  image(cv::Rect(box.x, box.y, box.width, dy)).setTo(color);
  image(cv::Rect(box.x, box.y + box.height - dy, box.width, dy)).setTo(color);
  image(cv::Rect(box.x, box.y, dx, box.height)).setTo(color);
  image(cv::Rect(box.x + box.width - dx, box.y, dx, box.height)).setTo(color);
}

// White dashes with black gaps, seen on any ground.
void draw_dashed_frame(cv::Mat& image, const cv::Rect& box, int width) {
  const int dash = 4 * width + 2;
  draw_frame(image, box, {0, 0, 0}, width);
  const auto white = [&](const cv::Rect& part) { image(part & box).setTo(cv::Scalar::all(255)); };
  for (int x = box.x; x < box.br().x; x += 2 * dash) {
    white({x, box.y, dash, width});
    white({x, box.br().y - width, dash, width});
  }
  for (int y = box.y; y < box.br().y; y += 2 * dash) {
    white({box.x, y, width, dash});
    white({box.br().x - width, y, width, dash});
  }
}

std::string label_text(const Detection& detection, const std::vector<std::string>& class_names) {
  const bool named =
      detection.label >= 1 && detection.label <= static_cast<int>(class_names.size());
  const std::string name = named ? class_names[static_cast<size_t>(detection.label - 1)]
                                 : fmt::format("#{}", detection.label);
  return fmt::format("{} {:.2f}", name, detection.score);
}

// Those to draw, by falling score.
Detections shown(const Detections& detections, const cv::Size& image, float threshold) {
  Detections result;
  std::copy_if(detections.begin(), detections.end(), std::back_inserter(result),
               [&](const Detection& detection) {
                 return detection.score >= threshold &&
                        !covered_pixels(detection.box, image).empty();
               });
  std::stable_sort(result.begin(), result.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  return result;
}

int suited(cv::Size image, double share, int least, double scale) {
  const double side = std::sqrt(static_cast<double>(image.width) * image.height);
  return std::max(least, static_cast<int>(std::lround(side * share * scale)));
}

}  // namespace

cv::Scalar class_color(int label) {
  // The golden ratio spreads hues evenly however many there are; the tone changes more slowly.
  constexpr double kTones[4][2] = {{0.85, 0.95}, {0.55, 1.0}, {0.95, 0.7}, {0.45, 0.75}};
  const int index = std::max(0, label - 1);
  const double* tone = kTones[index / 8 % 4];
  return from_hsv(std::fmod(0.58 + index * 0.6180339887498949, 1.0), tone[0], tone[1]);
}

int line_width(cv::Size image, const DrawOptions& options) {
  return suited(image, 0.0035, 1, options.scale);
}

cv::Mat draw_detections(const cv::Mat& rgb, const Detections& detections,
                        const std::vector<std::string>& class_names, const DrawOptions& options,
                        const std::vector<Object>& truth) {
  check_image(rgb, "draw_detections");
  cv::Mat image = rgb.clone();
  const cv::Size size = image.size();
  const int width = line_width(size, options);
  const Detections drawn = shown(detections, size, options.score_threshold);
  for (auto detection = drawn.rbegin(); detection != drawn.rend(); ++detection) {
    draw_frame(image, covered_pixels(detection->box, size), class_color(detection->label), width);
  }
  for (const Object& object : truth) {
    const cv::Rect box = covered_pixels(object.box, size);
    if (!box.empty()) {
      draw_dashed_frame(image, box, std::max(1, width / 2));
    }
  }
  if (options.labels) {
    LabelPainter painter(image, suited(size, 0.018, 7, options.scale));
    for (const Detection& detection : drawn) {
      painter.paint(label_text(detection, class_names), covered_pixels(detection.box, size),
                    class_color(detection.label));
    }
  }
  return image;
}

cv::Mat montage(const std::vector<cv::Mat>& images, int columns, int width) {
  SSDQ_CHECK(!images.empty() && columns >= 1, "montage: expected images and columns, got {} and {}",
             images.size(), columns);
  columns = std::min(columns, static_cast<int>(images.size()));
  const int cell_width = (width - (columns + 1) * kMontageGap) / columns;
  SSDQ_CHECK(cell_width >= 1, "montage: {} columns do not fit in {} pixels", columns, width);

  std::vector<cv::Mat> cells;
  std::vector<int> row_heights((images.size() + columns - 1) / columns, 0);
  for (const cv::Mat& image : images) {
    check_image(image, "montage");
    const double factor = static_cast<double>(cell_width) / image.cols;
    const int height = std::max(1, static_cast<int>(std::lround(image.rows * factor)));
    int& row_height = row_heights[cells.size() / columns];
    row_height = std::max(row_height, height);
    cells.emplace_back();
    cv::resize(image, cells.back(), {cell_width, height}, 0, 0,
               factor < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
  }

  int height = kMontageGap;
  for (const int row_height : row_heights) {
    height += row_height + kMontageGap;
  }
  cv::Mat sheet(height, width, CV_8UC3, cv::Scalar::all(kMontageGrey));
  int top = kMontageGap;
  for (size_t i = 0; i < cells.size(); ++i) {
    const int column = static_cast<int>(i) % columns;
    const int row_height = row_heights[i / columns];
    const cv::Rect place(kMontageGap + column * (cell_width + kMontageGap),
                         top + (row_height - cells[i].rows) / 2, cell_width, cells[i].rows);
    cells[i].copyTo(sheet(place));
    top += column == columns - 1 ? row_height + kMontageGap : 0;
  }
  return sheet;
}

}  // namespace ssdq
