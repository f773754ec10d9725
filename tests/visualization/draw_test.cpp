#include "ssdq/visualization/draw.h"

#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

const cv::Vec3b kGround(90, 100, 110);
const std::vector<std::string> kNames = {"cat", "dog"};

cv::Mat plain(int width, int height) { return {height, width, CV_8UC3, cv::Scalar(90, 100, 110)}; }

cv::Vec3b color_of(int label) {
  const cv::Scalar color = class_color(label);
  return {cv::saturate_cast<uchar>(color[0]), cv::saturate_cast<uchar>(color[1]),
          cv::saturate_cast<uchar>(color[2])};
}

cv::Vec3b at(const cv::Mat& image, int x, int y) { return image.at<cv::Vec3b>(y, x); }

bool same(const cv::Mat& a, const cv::Mat& b) { return cv::norm(a, b, cv::NORM_INF) == 0; }

DrawOptions without_labels() {
  DrawOptions options;
  options.labels = false;
  return options;
}

TEST(ClassColor, NeighboursDifferClearlyAndNoTwoAreEqual) {
  for (int a = 1; a <= 80; ++a) {
    for (int b = a + 1; b <= 80; ++b) {
      const double distance = cv::norm(class_color(a) - class_color(b));
      EXPECT_GT(distance, b - a <= 4 ? 50 : b <= 20 ? 30 : 0) << a << " and " << b;
    }
  }
}

TEST(DrawDetections, BorderHasTheClassColourAndTheRestIsUntouched) {
  const cv::Mat image = plain(300, 200);
  const cv::Mat drawn =
      draw_detections(image, {{{50.4F, 40, 150, 119.5F}, 0.9F, 2}}, kNames, without_labels());
  const int width = line_width(image.size(), {});
  const cv::Rect box(50, 40, 100, 80);  // the pixels the box touches
  const cv::Rect inside(box.x + width, box.y + width, box.width - 2 * width,
                        box.height - 2 * width);
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      const bool border = box.contains({x, y}) && !inside.contains({x, y});
      ASSERT_EQ(at(drawn, x, y), border ? color_of(2) : kGround) << x << "," << y;
    }
  }
}

TEST(DrawDetections, TheInputIsNotPaintedOn) {
  const cv::Mat image = plain(100, 100);
  draw_detections(image, {{{10, 10, 90, 90}, 0.9F, 1}}, kNames);
  EXPECT_TRUE(same(image, plain(100, 100)));
}

TEST(DrawDetections, BoxesBelowTheThresholdOrOutsideLeaveNoTrace) {
  const cv::Mat image = plain(100, 100);
  const Detections detections = {{{10, 10, 90, 90}, 0.49F, 1}, {{120, 10, 150, 90}, 0.9F, 1}};
  EXPECT_TRUE(same(draw_detections(image, detections, kNames), image));
}

TEST(DrawDetections, TheMostCertainIsOnTop) {
  const Detections detections = {{{10, 10, 60, 60}, 0.6F, 1}, {{10, 10, 60, 60}, 0.9F, 2}};
  EXPECT_EQ(at(draw_detections(plain(100, 100), detections, kNames, without_labels()), 10, 30),
            color_of(2));
}

TEST(DrawDetections, BoxesBeyondTheImageAreCutAtItsEdge) {
  const cv::Mat drawn = draw_detections(plain(100, 80), {{{-1e9F, -5, 1e9F, 200}, 0.9F, 1}}, kNames,
                                        without_labels());
  EXPECT_EQ(at(drawn, 0, 40), color_of(1));
  EXPECT_EQ(at(drawn, 99, 79), color_of(1));
  EXPECT_EQ(at(drawn, 50, 40), kGround);
}

TEST(DrawDetections, LabelsAddInkNearTheBoxOnly) {
  const cv::Mat image = plain(640, 480);
  const Detections detections = {{{200, 200, 400, 400}, 0.9F, 1}};
  cv::Mat difference;
  cv::absdiff(draw_detections(image, detections, kNames),
              draw_detections(image, detections, kNames, without_labels()), difference);
  std::vector<cv::Mat> channels;
  cv::split(difference, channels);
  const cv::Rect ink = cv::boundingRect(channels[0] | channels[1] | channels[2]);
  EXPECT_GT(ink.area(), 500);
  EXPECT_EQ(ink & cv::Rect(200, 160, 200, 40), ink);
}

TEST(DrawDetections, TruthIsDashed) {
  Object object;
  object.box = {20, 20, 180, 180};
  object.label = 1;
  const cv::Mat drawn = draw_detections(plain(200, 200), {}, kNames, {}, {object});
  int white = 0;
  int black = 0;
  for (int x = 20; x < 180; ++x) {
    white += at(drawn, x, 20) == cv::Vec3b(255, 255, 255) ? 1 : 0;
    black += at(drawn, x, 20) == cv::Vec3b(0, 0, 0) ? 1 : 0;
  }
  EXPECT_EQ(white + black, 160);
  EXPECT_GT(white, 50);
  EXPECT_GT(black, 50);
}

TEST(DrawDetections, TinyImagesAndUnknownLabelsAreDrawn) {
  EXPECT_EQ(draw_detections(plain(3, 2), {{{0, 0, 3, 2}, 0.9F, 7}}, kNames).size(), cv::Size(3, 2));
}

TEST(DrawDetections, OtherKindsOfImagesAreRefused) {
  EXPECT_THROW(draw_detections(cv::Mat(4, 4, CV_8UC1), {}, kNames), Error);
  EXPECT_THROW(draw_detections(cv::Mat(), {}, kNames), Error);
}

TEST(Montage, PlacesImagesInRowsAcrossTheWidth) {
  const cv::Mat red(50, 100, CV_8UC3, cv::Scalar(255, 0, 0));
  const cv::Mat green(100, 100, CV_8UC3, cv::Scalar(0, 255, 0));
  const cv::Mat blue(10, 20, CV_8UC3, cv::Scalar(0, 0, 255));
  const cv::Mat sheet = montage({red, green, blue}, 2, 412);  // cells of 200, gaps of 4
  EXPECT_EQ(sheet.size(), cv::Size(412, 4 + 200 + 4 + 100 + 4));
  EXPECT_EQ(at(sheet, 104, 104), cv::Vec3b(255, 0, 0));  // the red one centred in its row
  EXPECT_EQ(at(sheet, 104, 30), at(sheet, 0, 0));
  EXPECT_EQ(at(sheet, 308, 30), cv::Vec3b(0, 255, 0));
  EXPECT_EQ(at(sheet, 104, 258), cv::Vec3b(0, 0, 255));
  EXPECT_EQ(at(sheet, 308, 258), at(sheet, 0, 0));
}

TEST(Montage, NoImagesOrNoRoomIsAnError) {
  EXPECT_THROW(montage({}, 2, 400), Error);
  EXPECT_THROW(montage({plain(10, 10), plain(10, 10)}, 2, 12), Error);
}

}  // namespace
}  // namespace ssdq
