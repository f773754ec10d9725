#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "ssdq/data/dataset.h"
#include "ssdq/utils/error.h"

namespace ssdq::testing {

// A fresh folder for each case, removed afterwards.
class DatasetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        std::filesystem::path(::testing::TempDir()) /
        fmt::format("ssdq_{}_{}_{}", getpid(), info->test_suite_name(), std::string(info->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  void write_image(const std::string& name, int width, int height) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    cv::Mat image(height, width, CV_8UC3, cv::Scalar(30, 60, 90));
    image.at<cv::Vec3b>(0, 0) = {200, 0, 50};
    ASSERT_TRUE(cv::imwrite(path(name), image));
  }

  std::filesystem::path folder_;
};

// The message that `call` throws as exactly E; a failure and "" when it throws none.
template <typename E, typename Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const E& error) {
    EXPECT_EQ(typeid(error), typeid(E)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// Opens tolerantly and returns the problems.
template <typename Open>
std::vector<Problem> problems_of(const Open& open) {
  std::vector<Problem> problems;
  OpenOptions options;
  options.on_problem = [&](const Problem& problem) { problems.push_back(problem); };
  open(options);
  return problems;
}

inline OpenOptions for_training() {
  OpenOptions options;
  options.training = true;
  return options;
}

}  // namespace ssdq::testing
