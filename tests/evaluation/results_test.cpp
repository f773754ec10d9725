#include "ssdq/evaluation/results.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class ResultFiles : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / ("ssdq_results_" + std::to_string(::getpid()));
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path dir_;
  std::vector<ImageDetections> images_ = {
      {"000042", {{{10, 20.5F, 30, 40}, 0.75F, 2}, {{0, 0, 1, 1}, 0.5F, 1}}},
      {"000043", {{{1.25F, 2, 3, 4}, 0.1F, 2}}}};
};

const MetricTable kTable = {
    "VOC AP@0.5, area under the curve", {{"mAP", 0.75}}, {{"cat", 0.75}, {"gnu", std::nan("")}}};

TEST(ToText, IsATablePerClass) {
  EXPECT_EQ(to_text(kTable),
            "VOC AP@0.5, area under the curve\n"
            "+-------+---------+\n"
            "| class |      AP |\n"
            "+=======+=========+\n"
            "| cat   |  0.7500 |\n"
            "| gnu   |       - |\n"
            "+-------+---------+\n"
            "| mAP   |  0.7500 |\n"
            "+-------+---------+\n");
}

TEST(ToText, ManyClassesShareTheWidthEvenly) {
  MetricTable table{"COCO", {{"AP", 0.5}, {"AP50", 0.6}}, {}};
  for (int i = 0; i < 80; ++i) {
    table.per_class.emplace_back("class " + std::to_string(i), 0.5);
  }
  std::istringstream lines(to_text(table));
  std::string line;
  std::getline(lines, line);  // the title
  size_t width = 0;
  int count = 0;
  for (; std::getline(lines, line); ++count) {
    width = width == 0 ? line.size() : width;
    EXPECT_EQ(line.size(), width) << line;
  }
  EXPECT_LT(width, 100U);
  EXPECT_LT(count, 40);
}

TEST(ToJson, KeepsDigitsAndWritesNanAsNull) {
  MetricTable table = kTable;
  table.metrics[0].second = 1.0 / 3;
  const auto json = nlohmann::json::parse(to_json(table));
  EXPECT_EQ(json.at("title"), table.title);
  EXPECT_EQ(json.at("metrics").at("mAP").get<double>(), 1.0 / 3);
  EXPECT_TRUE(json.at("per_class").at("gnu").is_null());
}

TEST(CheckExpected, SaysWhatIsBelow) {
  EXPECT_TRUE(check_expected(kTable, {{"mAP", 0.75}}).empty());
  EXPECT_EQ(check_expected(kTable, {{"mAP", 0.8}}),
            std::vector<std::string>{
                "mAP is 0.7500 (VOC AP@0.5, area under the curve), expected at least 0.8"});
  EXPECT_EQ(check_expected(kTable, {{"AP50", 0.8}}),
            std::vector<std::string>{"AP50 was expected to be at least 0.8, but VOC AP@0.5, area "
                                     "under the curve does not report it (it reports: mAP)"});
}

TEST(CheckExpected, NanIsBelowEverything) {
  EXPECT_EQ(check_expected({"t", {{"mAP", std::nan("")}}, {}}, {{"mAP", 0}}).size(), 1U);
}

TEST_F(ResultFiles, VocFilesCountPixelsFromOne) {
  write_voc_detections(dir_ / "voc", {"cat", "dog", "gnu"}, images_);
  EXPECT_EQ(read(dir_ / "voc/det_test_cat.txt"), "000042 0.5 1 1 2 2\n");
  EXPECT_EQ(read(dir_ / "voc/det_test_dog.txt"),
            "000042 0.75 11 21.5 31 41\n000043 0.1 2.25 3 4 5\n");
  EXPECT_TRUE(std::filesystem::exists(dir_ / "voc/det_test_gnu.txt"));
}

TEST_F(ResultFiles, CocoFileHoldsIdsOfTheDataSet) {
  write_coco_detections(dir_ / "r.json", {17, 18}, images_);
  const auto json = nlohmann::json::parse(read(dir_ / "r.json"));
  ASSERT_EQ(json.size(), 3U);
  EXPECT_EQ(json[0], nlohmann::json::parse(R"({"image_id": 42, "category_id": 18,
                                               "bbox": [10.0, 20.5, 20.0, 19.5], "score": 0.75})"));
  EXPECT_EQ(json[1].at("category_id"), 17);
  write_coco_detections(dir_ / "empty.json", {17}, {});
  EXPECT_EQ(nlohmann::json::parse(read(dir_ / "empty.json")).size(), 0U);
}

TEST_F(ResultFiles, CocoNeedsNumbersAsImageIds) {
  EXPECT_THROW(write_coco_detections(dir_ / "r.json", {17}, {{"x42", {{{}, 0.5F, 1}}}}), Error);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "r.json"));
}

TEST_F(ResultFiles, APathThatCannotBeWrittenIsAnError) {
  EXPECT_THROW(write_coco_detections(dir_ / "missing/r.json", {17, 18}, images_), Error);
  std::ofstream(dir_ / "file") << "x";
  EXPECT_THROW(write_voc_detections(dir_ / "file", {"cat", "dog"}, images_), Error);
}

}  // namespace
}  // namespace ssdq
