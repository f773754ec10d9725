#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets_testing.h"
#include "ssdq/data/check.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class Check : public testing::DatasetTest {
 protected:
  void SetUp() override {
    DatasetTest::SetUp();
    write("ImageSets/Main/test.txt", "a\n");
    write_image("JPEGImages/a.jpg", 40, 30);
    annotate("a", 40, 30, box(2, 2, 9, 9));
  }

  void annotate(const std::string& id, int width, int height, const std::string& objects) const {
    write(
        "Annotations/" + id + ".xml",
        fmt::format("<annotation><size><width>{}</width><height>{}</height></size>{}</annotation>",
                    width, height, objects));
  }

  // As in the xml: the checker sees each number minus 1.
  static std::string box(int x1, int y1, int x2, int y2, const std::string& name = "cat") {
    return fmt::format(
        "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</"
        "ymax>"
        "</bndbox></object>",
        name, x1, y1, x2, y2);
  }

  CheckReport check() const {
    DatasetCatalog catalog;
    DatasetDefinition definition;
    definition.format = "voc";
    definition.root = folder_.string();
    definition.split = "test";
    definition.classes = {"cat"};
    catalog.add("pets", definition);
    return check_dataset(catalog, "pets", 2);
  }
};

TEST_F(Check, FindsNothingInAGoodSet) {
  const CheckReport report = check();
  EXPECT_TRUE(report.clean());
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.num_images, 1);
  EXPECT_EQ(report.num_objects, 1);
  EXPECT_THAT(report.objects_per_class, ElementsAre(1));
}

TEST_F(Check, EmptyImageIsANote) {
  annotate("a", 40, 30, "");
  const CheckReport report = check();
  EXPECT_TRUE(report.clean());
  EXPECT_THAT(report.counts(), ElementsAre(Pair(ProblemKind::kEmptyImage, 1)));
}

TEST_F(Check, TruncatedAndForeignImagesAreBroken) {
  std::vector<unsigned char> bytes;
  cv::imencode(".jpg", cv::Mat(64, 64, CV_8UC3, cv::Scalar(9, 200, 90)), bytes);
  write("JPEGImages/a.jpg", std::string(bytes.begin(), bytes.end() - 40));
  EXPECT_THAT(check().counts(), ElementsAre(Pair(ProblemKind::kBrokenImage, 1)));
  cv::imencode(".png", cv::Mat(64, 64, CV_8UC3, cv::Scalar(9, 200, 90)), bytes);
  for (const std::string& text :
       {std::string(), std::string("no image"), std::string("\xFF\xD8")}) {
    write("JPEGImages/a.jpg", text);
    EXPECT_THAT(check().counts(), ElementsAre(Pair(ProblemKind::kBrokenImage, 1))) << text;
  }
}

TEST_F(Check, AcceptsGreySixteenBitAndAlphaImages) {
  std::filesystem::remove(path("JPEGImages/a.jpg"));
  for (const int type : {CV_8UC1, CV_16UC1, CV_16UC3, CV_8UC4}) {
    cv::imwrite(path("JPEGImages/a.png"), cv::Mat(30, 40, type, cv::Scalar::all(7)));
    EXPECT_TRUE(check().clean()) << type;
  }
}

TEST_F(Check, ReportsEachKindAndGoesOn) {
  write("ImageSets/Main/test.txt", "size\nboxes\nclass\nxml\nghost\nempty\na\na\n");
  for (const char* id : {"size", "boxes", "class", "xml", "empty"}) {
    write_image(std::string("JPEGImages/") + id + ".jpg", 40, 30);
  }
  annotate("size", 30, 40, box(2, 2, 9, 9));
  annotate(
      "boxes", 40, 30,
      box(5, 5, 5, 9) + box(20, 9, 15, 12) + box(30, 5, 60, 9) + box(2, 2, 9, 9) + box(2, 2, 9, 9));
  annotate("class", 40, 30, box(2, 2, 9, 9, "dog") + box(2, 2, 9, 9));
  annotate("ghost", 40, 30, box(2, 2, 9, 9));
  annotate("empty", 40, 30, "");
  write("Annotations/xml.xml", "<annotation");
  const CheckReport report = check();
  EXPECT_FALSE(report.clean());
  EXPECT_THAT(
      report.counts(),
      ElementsAre(Pair(ProblemKind::kBadAnnotation, 1), Pair(ProblemKind::kUnknownClass, 1),
                  Pair(ProblemKind::kMissingImage, 1), Pair(ProblemKind::kSizeMismatch, 1),
                  Pair(ProblemKind::kDegenerateBox, 2), Pair(ProblemKind::kOutsideBox, 1),
                  Pair(ProblemKind::kDuplicateObject, 1), Pair(ProblemKind::kDuplicateImage, 1),
                  Pair(ProblemKind::kEmptyImage, 2)));
  EXPECT_EQ(report.num_images, 6);
  std::vector<std::string> messages;
  for (const Problem& problem : report.problems) {
    messages.push_back(problem.message);
  }
  EXPECT_THAT(
      messages,
      ::testing::IsSupersetOf(
          {path("JPEGImages/size.jpg") + ": the image has 40x30 pixels, its annotation says 30x40",
           path("JPEGImages/boxes.jpg") + ": object 1 (cat), box (4, 4, 4, 8), has no area",
           path("JPEGImages/boxes.jpg") +
               ": object 2 (cat), box (19, 8, 14, 11), has its minimum above its maximum",
           path("JPEGImages/boxes.jpg") +
               ": object 3 (cat), box (29, 4, 59, 8), reaches out of the image",
           path("JPEGImages/boxes.jpg") + ": object 5 (cat), box (1, 1, 8, 8), is there twice"}));
}

TEST_F(Check, ReportIsJson) {
  annotate("a", 40, 30, box(5, 5, 5, 9));
  EXPECT_EQ(to_json({check()}), fmt::format(R"([
  {{
    "dataset": "pets",
    "format": "voc",
    "images": 1,
    "objects": 1,
    "clean": false,
    "classes": {{
      "cat": 1
    }},
    "counts": {{
      "degenerate box": 1
    }},
    "problems": [
      {{
        "kind": "degenerate box",
        "image": "a",
        "message": "{}: object 1 (cat), box (4, 4, 4, 8), has no area"
      }}
    ]
  }}
]
)",
                                            path("JPEGImages/a.jpg")));
}

TEST(BccdCheck, FindsTheTwoBoxesWithoutArea) {
  const DatasetCatalog catalog({SSDQ_SOURCE_DIR});
  const CheckReport report = check_dataset(catalog, "bccd_trainval", 0);
  EXPECT_THAT(report.counts(), ElementsAre(Pair(ProblemKind::kDegenerateBox, 2)));
  ASSERT_EQ(report.problems.size(), 2U);
  EXPECT_EQ(report.problems[0].image_id, "BloodImage_00338");
  EXPECT_EQ(report.problems[1].image_id, "BloodImage_00343");
  EXPECT_TRUE(check_dataset(catalog, "bccd_test", 0).clean());
}

}  // namespace
}  // namespace ssdq
