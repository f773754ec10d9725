#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets_testing.h"
#include "ssdq/data/datasets/coco.h"
#include "tests/utils/reference_data.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using testing::for_training;
using ::testing::HasSubstr;
using testing::message_of;
using testing::problems_of;
using testing::reference_data;

class CocoDataset : public testing::DatasetTest {
 protected:
  void SetUp() override {
    DatasetTest::SetUp();
    definition_.annotations = path("instances.json");
    definition_.images = path("images");
    write_image("images/a.png", 40, 30);
    write_image("images/b.png", 20, 10);
  }

  // Categories 90 (dog) and 7 (cat), in this order.
  void write_json(const std::string& annotations) const {
    write("instances.json", R"({"info": {"images": [1, {"id": 2}]}, "annotations": [)" +
                                annotations +
                                R"(], "images": [
      {"id": 30, "file_name": "b.png", "width": 20, "height": 10},
      {"id": 4, "file_name": "a.png", "width": 40, "height": 30}],
      "categories": [{"id": 90, "name": "dog"}, {"id": 7, "name": "cat"}]})");
  }

  std::unique_ptr<Dataset> open(const OpenOptions& options = {}) const {
    return open_coco("pets", definition_, options);
  }
  std::string error() const {
    return message_of<Error>([this] { open(); });
  }

  DatasetDefinition definition_;
};

constexpr const char* kDog =
    R"({"id": 1, "image_id": 4, "category_id": 90, "iscrowd": 0, "area": 77.5,
        "segmentation": [[1, 2, 3.5], {"bbox": [9, 9, 9, 9], "id": 55}],
        "bbox": [1.5, 2, 10, 20.25]})";
constexpr const char* kCrowd =
    R"({"id": 2, "image_id": 30, "category_id": 7, "iscrowd": 1, "bbox": [0, 0, 4, 4],
        "segmentation": {"counts": [1, 2], "size": [10, 20]}})";

TEST_F(CocoDataset, NumbersLabelsByCategoryId) {
  write_json(kDog);
  const auto dataset = open();
  EXPECT_THAT(dataset->class_names(), ElementsAre("cat", "dog"));
  EXPECT_EQ(dataset->category_id(1), 7);
  EXPECT_EQ(dataset->category_id(2), 90);
  EXPECT_EQ(message_of<Error>([&] { dataset->category_id(3); }),
            "data set pets: label 3 asked for, it has 1..2");
}

TEST_F(CocoDataset, ReadsImagesAndBoxes) {
  write_json(kDog);
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->record(0).image_id, "30");
  EXPECT_TRUE(dataset->record(0).objects.empty());
  const Record record = dataset->record(1);
  EXPECT_EQ(record.image_id, "4");
  EXPECT_EQ(record.image_path, path("images/a.png"));
  EXPECT_EQ(record.width, 40);
  EXPECT_EQ(record.height, 30);
  ASSERT_EQ(record.objects.size(), 1U);
  EXPECT_EQ(record.objects[0].label, 2);
  EXPECT_EQ(record.objects[0].box, (Box{1.5F, 2, 11.5F, 22.25F}));
  EXPECT_EQ(record.objects[0].area, 77.5);
  EXPECT_FALSE(record.objects[0].crowd);
}

TEST_F(CocoDataset, TrainingLeavesOutCrowdsAndThenEmptyImages) {
  write_json(std::string(kDog) + "," + kCrowd);
  EXPECT_TRUE(open()->record(0).objects.at(0).crowd);
  EXPECT_EQ(open()->record(0).objects.at(0).area, -1);
  const auto dataset = open(for_training());
  ASSERT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->record(0).image_id, "4");
  OpenOptions options = for_training();
  options.keep_empty = true;
  EXPECT_EQ(open(options)->size(), 2);
}

TEST_F(CocoDataset, NothingToLearnFromIsAnError) {
  write_json(kCrowd);
  EXPECT_EQ(
      message_of<Error>([this] { open(for_training()); }),
      path("instances.json") +
          ": data set pets is empty; it needs at least one image with an object to learn from");
}

struct BadAnnotation {
  const char* name;
  const char* annotation;
  ProblemKind kind;
  const char* message;
};

class CocoBadAnnotation : public CocoDataset,
                          public ::testing::WithParamInterface<BadAnnotation> {};

TEST_P(CocoBadAnnotation, IsOneSentence) {
  write_json(GetParam().annotation);
  EXPECT_EQ(error(), path("instances.json") + ": annotation " + GetParam().message);
  const auto problems = problems_of([this](const OpenOptions& options) { open(options); });
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].kind, GetParam().kind);
}

INSTANTIATE_TEST_SUITE_P(
    All, CocoBadAnnotation,
    ::testing::Values(
        BadAnnotation{"UnknownImage",
                      R"({"id": 5, "image_id": 6, "category_id": 7, "bbox": [1, 1, 2, 2]})",
                      ProblemKind::kOrphanAnnotation,
                      "5 belongs to image 6, which is not in the list of images"},
        BadAnnotation{"NoImage", R"({"category_id": 7, "bbox": [1, 1, 2, 2]})",
                      ProblemKind::kBadAnnotation, "1 of the list has no number as \"image_id\""},
        BadAnnotation{"UnknownCategory",
                      R"({"id": 5, "image_id": 4, "category_id": 8, "bbox": [1, 1, 2, 2]})",
                      ProblemKind::kUnknownClass,
                      "5 has category 8, which is not in the list of categories"},
        BadAnnotation{"ShortBox",
                      R"({"id": 5, "image_id": 4, "category_id": 7, "bbox": [1, 1, 2]})",
                      ProblemKind::kBadAnnotation,
                      "5 has 3 numbers as \"bbox\", 4 were expected (x, y, width, height)"}),
    [](const auto& test) { return test.param.name; });

TEST_F(CocoDataset, MissingImageFileIsNamed) {
  write_json(kDog);
  std::filesystem::remove(path("images/a.png"));
  EXPECT_EQ(error(),
            path("instances.json") + ": the file 'a.png' of image 4 is not in " + path("images"));
}

TEST_F(CocoDataset, BrokenJsonNamesTheLine) {
  write("instances.json", "{\"images\": [\n{\"id\": NaN}]}");
  EXPECT_THAT(error(), HasSubstr(path("instances.json") + ":2: not valid JSON: "));
}

TEST_F(CocoDataset, OtherJsonIsRefused) {
  write("instances.json", R"({"images": [], "annotations": {}, "categories": []})");
  EXPECT_EQ(error(), path("instances.json") +
                         ": not a COCO instances file: it has no list \"annotations\"; expected "
                         "{\"images\": [...], \"annotations\": [...], \"categories\": [...]}");
  write("instances.json", "[1, [2, {\"id\": 3}]]");
  EXPECT_THAT(error(), HasSubstr("it has no list \"images\""));
}

TEST_F(CocoDataset, MissingFilesAreConfigErrors) {
  EXPECT_EQ(message_of<ConfigError>([this] { open(); }),
            "data set pets: there is no annotation file " + path("instances.json"));
}

TEST(CocoCc, EqualsTheFile) {
  const auto root = reference_data("coco_cc");
  if (!root) {
    GTEST_SKIP() << "SSDQ_REFERENCE_DATA is not set";
  }
  DatasetDefinition definition;
  definition.images = *root + "/images";
  definition.annotations = *root + "/instances_train2017.json";
  const auto train = open_coco("train", definition, {});
  EXPECT_EQ(train->size(), 45);
  EXPECT_EQ(train->class_names().size(), 80U);
  EXPECT_EQ(train->category_id(80), 90);
  int64_t objects = 0;
  int64_t crowds = 0;
  for (int64_t i = 0; i < train->size(); ++i) {
    for (const Object& object : train->record(i).objects) {
      ++objects;
      crowds += object.crowd ? 1 : 0;
    }
  }
  EXPECT_EQ(objects, 498);
  EXPECT_EQ(crowds, 6);
}

}  // namespace
}  // namespace ssdq
