#include "ssdq/data/image_reader.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class ImageReader : public testing::Test {
 protected:
  ImageReader() : folder_(std::filesystem::temp_directory_path() / "ssdq_image_reader_test") {
    std::filesystem::create_directories(folder_);
  }
  ~ImageReader() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const cv::Mat& image) const {
    cv::imwrite((folder_ / name).string(), image);
    return (folder_ / name).string();
  }

  static void expect_refused(const std::string& path) {
    try {
      ImageFile(path).decode();
      FAIL() << "accepted " << path;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(path));
    }
  }

  std::filesystem::path folder_;
};

cv::Vec3b first_pixel(const std::string& path) { return read_image(path).at<cv::Vec3b>(0, 0); }

TEST_F(ImageReader, ReadsGreyAlphaAndSixteenBitPng) {
  EXPECT_EQ(first_pixel(write("grey.png", cv::Mat(4, 5, CV_8UC1, cv::Scalar(77)))),
            cv::Vec3b(77, 77, 77));
  EXPECT_EQ(first_pixel(write("alpha.png", cv::Mat(4, 5, CV_8UC4, cv::Scalar(3, 2, 1, 0)))),
            cv::Vec3b(1, 2, 3));
  EXPECT_EQ(first_pixel(write("deep.png", cv::Mat(4, 5, CV_16UC3, cv::Scalar(257, 514, 65535)))),
            cv::Vec3b(255, 2, 1));
}

TEST_F(ImageReader, JpegIsRgbAndReducedSizesRoundUp) {
  const ImageFile file(write("a.jpg", cv::Mat(33, 50, CV_8UC3, cv::Scalar(20, 90, 200))));
  EXPECT_EQ(file.size(), (Size2{33, 50}));
  EXPECT_NEAR(file.decode().at<cv::Vec3b>(9, 9)[0], 200, 3);
  const cv::Mat half = file.decode_fast(4);
  EXPECT_EQ(half.size(), cv::Size(25, 17));
  EXPECT_NEAR(half.at<cv::Vec3b>(5, 5)[2], 20, 4);
}

TEST_F(ImageReader, RefusesWhatIsNoWholeImageAndNamesIt) {
  expect_refused((folder_ / "missing.jpg").string());
  expect_refused(folder_.string());
  cv::Mat noise(200, 200, CV_8UC3);
  cv::randu(noise, 0, 255);
  const std::string cut = write("cut.jpg", noise);
  std::filesystem::resize_file(cut, std::filesystem::file_size(cut) / 2);
  expect_refused(cut);
  std::ofstream(folder_ / "text.jpg") << "not an image";
  expect_refused((folder_ / "text.jpg").string());
}

}  // namespace
}  // namespace ssdq
