#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets_testing.h"
#include "ssdq/data/catalog.h"
#include "ssdq/data/datasets/voc.h"
#include "tests/utils/reference_data.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using testing::for_training;
using ::testing::HasSubstr;
using testing::message_of;
using testing::problems_of;
using testing::reference_data;

class VocDataset : public testing::DatasetTest {
 protected:
  void SetUp() override {
    DatasetTest::SetUp();
    definition_.format = "voc";
    definition_.root = folder_.string();
    definition_.split = "train";
    definition_.classes = {"cat", "dog"};
    write("ImageSets/Main/train.txt", "a\n");
    write_image("JPEGImages/a.png", 40, 30);
  }

  void write_annotation(const std::string& id, const std::string& inside) const {
    write("Annotations/" + id + ".xml", "<annotation>\n" + inside + "</annotation>\n");
  }

  std::unique_ptr<Dataset> open(const OpenOptions& options = {}) const {
    return open_voc("pets", definition_, options);
  }

  std::string error() const {
    return message_of<Error>([this] { open(); });
  }

  DatasetDefinition definition_;
};

std::string object(const std::string& name, const std::string& box, const std::string& more = "") {
  return "<object><name>" + name + "</name>" + more + "<bndbox>" + box + "</bndbox></object>\n";
}

constexpr const char* kBox = "<xmin>3</xmin><ymin>4</ymin><xmax>13</xmax><ymax>24</ymax>";

TEST_F(VocDataset, CountsPixelsFromZero) {
  write_annotation("a", "<size><width>40</width><height>30</height></size>" + object("dog", kBox));
  const Record record = open()->record(0);
  EXPECT_EQ(record.image_id, "a");
  EXPECT_EQ(record.image_path, path("JPEGImages/a.png"));
  EXPECT_EQ(record.width, 40);
  EXPECT_EQ(record.height, 30);
  ASSERT_EQ(record.objects.size(), 1U);
  EXPECT_EQ(record.objects[0].label, 2);
  EXPECT_EQ(record.objects[0].box, (Box{2, 3, 12, 23}));
  EXPECT_FALSE(record.objects[0].difficult);
}

TEST_F(VocDataset, ToleratesOrderBlanksFractionsPartsAndMissingFields) {
  write_annotation("a", object(" cat\n",
                               "<ymax> 24.5 </ymax>\n<xmax>13</xmax><xmin>\t3.25</xmin>"
                               "<ymin>4</ymin>",
                               "<part><name>head</name><bndbox/></part>"));
  const Record record = open()->record(0);
  EXPECT_EQ(record.width, 0);
  EXPECT_EQ(record.objects.at(0).label, 1);
  EXPECT_EQ(record.objects.at(0).box, (Box{2.25F, 3, 12, 23.5F}));
}

TEST_F(VocDataset, DifficultObjectsAreLeftOutOfTrainingOnly) {
  write_annotation("a", object("dog", kBox, "<difficult>1</difficult>") + object("cat", kBox));
  EXPECT_EQ(open()->record(0).objects.size(), 2U);
  EXPECT_TRUE(open()->record(0).objects[0].difficult);
  EXPECT_EQ(open(for_training())->record(0).objects.size(), 1U);
  OpenOptions options = for_training();
  options.keep_difficult = true;
  EXPECT_EQ(open(options)->record(0).objects.size(), 2U);
}

TEST_F(VocDataset, KeepsWrongBoxesForThePolicy) {
  write_annotation("a", object("dog", "<xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>1</ymax>"));
  EXPECT_EQ(open()->record(0).objects.at(0).box, (Box{8, 8, 8, 0}));
}

TEST_F(VocDataset, FindsTheImageNamedByTheFileOrByItself) {
  write("ImageSets/Main/train.txt", "a\nb\nc\n");
  write_image("JPEGImages/b.png", 40, 30);
  write_image("JPEGImages/photo.bmp", 40, 30);
  write_annotation("a", "<filename>copied_from.jpg</filename>");
  write_annotation("b", "<filename>a.png</filename>");
  write_annotation("c", "<filename>photo.bmp</filename>");
  const auto dataset = open();
  EXPECT_EQ(dataset->record(0).image_path, path("JPEGImages/a.png"));
  EXPECT_EQ(dataset->record(1).image_path, path("JPEGImages/b.png"));
  EXPECT_EQ(dataset->record(2).image_path, path("JPEGImages/photo.bmp"));
}

TEST_F(VocDataset, UnknownClassNamesFileLineAndKnownClasses) {
  write_annotation("a", "\n" + object("cow", kBox));
  EXPECT_EQ(error(), path("Annotations/a.xml") +
                         ":3: object 1 has class 'cow', which is not one of cat, dog");
}

TEST_F(VocDataset, CoordinateThatIsNoNumberNamesItsElement) {
  write_annotation(
      "a", object("cat", kBox) + object("dog", "<xmin>left</xmin><ymin>9</ymin><xmax>9</xmax>"));
  EXPECT_EQ(error(), path("Annotations/a.xml") +
                         ":3: object 2 (dog) has 'left' as <xmin> of its <bndbox>, a number was "
                         "expected");
}

TEST_F(VocDataset, MalformedXmlNamesTheLine) {
  write("Annotations/a.xml", "<annotation>\n<object>\n</annotation>\n");
  EXPECT_THAT(error(), HasSubstr(path("Annotations/a.xml") + ":3: not a VOC annotation: "));
}

TEST_F(VocDataset, OtherXmlIsRefused) {
  write("Annotations/a.xml", "<html/>");
  EXPECT_EQ(error(), path("Annotations/a.xml") +
                         ":1: not a VOC annotation: there is no <annotation> element");
}

TEST_F(VocDataset, MissingFilesAreNamed) {
  EXPECT_EQ(error(), path("Annotations/a.xml") +
                         ": there is no such annotation, but the split names image a");
  write_annotation("a", "<filename>a.jpg</filename>");
  std::filesystem::remove(path("JPEGImages/a.png"));
  EXPECT_EQ(error(),
            path("Annotations/a.xml") + ": its image a.jpg is not in " + path("JPEGImages"));
}

TEST_F(VocDataset, MissingLayoutIsAConfigError) {
  definition_.split = "test";
  EXPECT_EQ(message_of<ConfigError>([this] { open(); }),
            "data set pets: there is no list of images " + path("ImageSets/Main/test.txt"));
  definition_.split = "train";
  std::filesystem::remove_all(path("JPEGImages"));
  EXPECT_EQ(message_of<ConfigError>([this] { open(); }),
            "data set pets: there is no image folder " + path("JPEGImages"));
  definition_.root = "";
  EXPECT_THAT(message_of<ConfigError>([this] { open(); }),
              HasSubstr("data set pets: format voc needs ROOT"));
}

TEST_F(VocDataset, EmptyAndRepeatedListsAreRefused) {
  write_annotation("a", "");
  write("ImageSets/Main/train.txt", "\n \n");
  EXPECT_EQ(error(), path("ImageSets/Main/train.txt") +
                         ": data set pets is empty; it needs at least one image");
  write("ImageSets/Main/train.txt", "a\r\na\r\n");
  EXPECT_EQ(error(), path("ImageSets/Main/train.txt") + ": image a is listed twice");
}

TEST_F(VocDataset, SeveralProblemsAreCountedInOneSentence) {
  write_annotation("a", object("cow", kBox) + object("hen", kBox) + object("pig", kBox));
  EXPECT_THAT(error(), ::testing::EndsWith(
                           "cat, dog (2 more problems in data set pets; check_data lists them)"));
}

TEST_F(VocDataset, CollectsProblemsAndGoesOn) {
  write("ImageSets/Main/train.txt", "a\nmissing\na\n");
  write_annotation("a", object("cow", kBox) + object("cat", kBox));
  std::unique_ptr<Dataset> dataset;
  const std::vector<Problem> problems =
      problems_of([&](const OpenOptions& options) { dataset = open(options); });
  std::vector<ProblemKind> kinds;
  for (const Problem& problem : problems) {
    kinds.push_back(problem.kind);
  }
  EXPECT_THAT(kinds, ElementsAre(ProblemKind::kUnknownClass, ProblemKind::kMissingAnnotation,
                                 ProblemKind::kMissingImage, ProblemKind::kUnknownClass,
                                 ProblemKind::kDuplicateImage));
  ASSERT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->record(0).objects.size(), 1U);
}

TEST_F(VocDataset, IndexBeyondTheEndIsRefused) {
  write_annotation("a", "");
  EXPECT_EQ(message_of<Error>([this] { open()->record(1); }),
            "data set pets: image 1 asked for, it has 0..0");
}

std::vector<int64_t> count_labels(const Dataset& dataset) {
  std::vector<int64_t> counts(dataset.class_names().size());
  for (int64_t i = 0; i < dataset.size(); ++i) {
    for (const Object& found : dataset.record(i).objects) {
      ++counts[static_cast<std::size_t>(found.label - 1)];
    }
  }
  return counts;
}

TEST(BccdDataset, HasThePublishedCounts) {
  const DatasetCatalog catalog({SSDQ_SOURCE_DIR});
  std::vector<int64_t> total(3);
  std::vector<int64_t> sizes;
  for (const char* name : {"bccd_train", "bccd_val", "bccd_test"}) {
    const auto dataset = catalog.open(name, {});
    EXPECT_THAT(dataset->class_names(), ElementsAre("RBC", "WBC", "Platelets"));
    sizes.push_back(dataset->size());
    const std::vector<int64_t> counts = count_labels(*dataset);
    for (std::size_t i = 0; i < 3; ++i) {
      total[i] += counts[i];
    }
  }
  EXPECT_THAT(sizes, ElementsAre(205, 87, 72));
  EXPECT_THAT(total, ElementsAre(4155, 372, 361));
  EXPECT_EQ(catalog.open("bccd_trainval", {})->size(), 292);
}

TEST(Voc2007Mini, HasThePublishedCounts) {
  const auto root = reference_data("voc2007_mini");
  if (!root) {
    GTEST_SKIP() << "SSDQ_REFERENCE_DATA is not set";
  }
  DatasetDefinition definition;
  definition.root = *root + "/VOC2007";
  definition.split = "trainval";
  const auto sum = [](const std::vector<int64_t>& counts) {
    int64_t total = 0;
    for (const int64_t count : counts) {
      total += count;
    }
    return total;
  };
  EXPECT_EQ(sum(count_labels(*open_voc("mini", definition, for_training()))), 1796);
  definition.split = "test";
  EXPECT_EQ(sum(count_labels(*open_voc("mini", definition, for_training()))), 735);
}

}  // namespace
}  // namespace ssdq
