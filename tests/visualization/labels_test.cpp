#include "ssdq/visualization/labels.h"

#include <gtest/gtest.h>

namespace ssdq {
namespace {

const cv::Scalar kColor(200, 30, 60);

TEST(LabelPainter, LabelsStayInsideTheImage) {
  cv::Mat image(120, 160, CV_8UC3, cv::Scalar::all(0));
  const cv::Rect all({0, 0}, image.size());
  const cv::Rect boxes[] = {{0, 0, 160, 120}, {150, 0, 10, 10}, {0, 110, 5, 10}, {155, 115, 5, 5}};
  for (const cv::Rect& box : boxes) {
    const auto ground = LabelPainter(image, 9).paint("aeroplane 0.98", box, kColor);
    ASSERT_TRUE(ground.has_value());
    EXPECT_EQ(*ground & all, *ground) << box;
  }
}

TEST(LabelPainter, StandsOnTheBoxWhereThereIsRoom) {
  cv::Mat image(200, 300, CV_8UC3, cv::Scalar::all(0));
  const cv::Rect box(50, 60, 200, 100);
  const auto ground = LabelPainter(image, 9).paint("cat 0.98", box, kColor);
  ASSERT_TRUE(ground.has_value());
  EXPECT_EQ(ground->x, box.x);
  EXPECT_EQ(ground->br().y, box.y);
  EXPECT_EQ(image.at<cv::Vec3b>(ground->y, ground->x), cv::Vec3b(200, 30, 60));
}

TEST(LabelPainter, LabelsOfTheSameBoxDoNotHideEachOther) {
  cv::Mat image(200, 300, CV_8UC3, cv::Scalar::all(0));
  LabelPainter painter(image, 9);
  std::vector<cv::Rect> grounds;
  for (int i = 0; i < 4; ++i) {
    const auto ground = painter.paint("cat 0.98", {50, 60, 200, 100}, kColor);
    ASSERT_TRUE(ground.has_value());
    for (const cv::Rect& other : grounds) {
      EXPECT_TRUE((*ground & other).empty());
    }
    grounds.push_back(*ground);
  }
}

TEST(LabelPainter, TextShrinksToFitAndIsLeftOutWhenUnreadable) {
  cv::Mat narrow(60, 70, CV_8UC3, cv::Scalar::all(0));
  const auto ground = LabelPainter(narrow, 20).paint("cat 0.98", {10, 30, 20, 20}, kColor);
  ASSERT_TRUE(ground.has_value());
  EXPECT_LE(ground->width, 70);
  cv::Mat tiny(8, 8, CV_8UC3, cv::Scalar::all(0));
  EXPECT_FALSE(LabelPainter(tiny, 20).paint("cat 0.98", {0, 0, 8, 8}, kColor).has_value());
}

}  // namespace
}  // namespace ssdq
