#include "ssdq/visualization/image_io.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>
#include <opencv2/imgcodecs.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class WriteImage : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / ("ssdq_image_" + std::to_string(::getpid()));
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::ptrdiff_t num_files() const {
    return std::distance(std::filesystem::directory_iterator(dir_), {});
  }

  std::filesystem::path dir_;
  cv::Mat red_ = cv::Mat(16, 24, CV_8UC3, cv::Scalar(250, 20, 10));  // RGB
};

TEST_F(WriteImage, KeepsTheColoursAndLeavesOneFile) {
  write_image(dir_ / "a.png", red_);
  const cv::Mat bgr = cv::imread(dir_ / "a.png");
  ASSERT_EQ(bgr.size(), red_.size());
  EXPECT_EQ(bgr.at<cv::Vec3b>(3, 3), cv::Vec3b(10, 20, 250));
  EXPECT_EQ(num_files(), 1);
}

TEST_F(WriteImage, WritesJpegsWhateverTheCaseOfTheEnding) {
  write_image(dir_ / "a.JPG", red_);
  EXPECT_NEAR(cv::imread(dir_ / "a.JPG").at<cv::Vec3b>(3, 3)[2], 250, 4);
}

TEST_F(WriteImage, FailuresAreErrorsAndLeaveNothing) {
  EXPECT_THROW(write_image(dir_ / "a.bmp", red_), Error);
  EXPECT_THROW(write_image(dir_ / "missing/a.png", red_), Error);
  EXPECT_THROW(write_image(dir_ / "a.png", cv::Mat()), Error);
  EXPECT_EQ(num_files(), 0);
}

TEST_F(WriteImage, EncodesTheSamePng) {
  const std::string png = encode_png(red_);
  const cv::Mat bytes(1, static_cast<int>(png.size()), CV_8UC1, const_cast<char*>(png.data()));
  const cv::Mat bgr = cv::imdecode(bytes, cv::IMREAD_COLOR);
  ASSERT_EQ(bgr.size(), red_.size());
  EXPECT_EQ(bgr.at<cv::Vec3b>(3, 3), cv::Vec3b(10, 20, 250));
  EXPECT_THROW(encode_png(cv::Mat()), Error);
}

}  // namespace
}  // namespace ssdq
