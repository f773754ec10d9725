#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets_testing.h"
#include "ssdq/data/datasets/image_files.h"
#include "ssdq/data/datasets/txt.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::problems_of;

class TxtDataset : public testing::DatasetTest {
 protected:
  void SetUp() override {
    DatasetTest::SetUp();
    definition_.annotations = path("hand.data");
    definition_.split = "train";
    write("hand.data",
          "# Oxford layout\nclasses = 2\ntrain=train.txt\nvalid = valid.txt\nimages = images\n"
          "labels = labels\nnames = hand.names\nbackup = elsewhere\n");
    write("hand.names", "left\nright hand\n");
    write("train.txt", "a.png\n");
    write_image("images/a.png", 40, 20);
    std::filesystem::create_directories(path("labels"));
  }

  std::unique_ptr<Dataset> open(const OpenOptions& options = {}) const {
    return open_txt("hand", definition_, options);
  }
  std::string error() const {
    return message_of<Error>([this] { open(); });
  }
  std::string config_error() const {
    return message_of<ConfigError>([this] { open(); });
  }

  DatasetDefinition definition_;
};

TEST_F(TxtDataset, TurnsFractionsIntoPixels) {
  write("labels/a.txt", "1 0.5 0.5 0.5 0.25\n\n0 0.25 0.5 .5 1\n");
  const auto dataset = open();
  EXPECT_THAT(dataset->class_names(), ElementsAre("left", "right hand"));
  const Record record = dataset->record(0);
  EXPECT_EQ(record.image_id, "a");
  EXPECT_EQ(record.width, 40);
  EXPECT_EQ(record.height, 20);
  ASSERT_EQ(record.objects.size(), 2U);
  EXPECT_EQ(record.objects[0].label, 2);
  EXPECT_EQ(record.objects[0].box, (Box{10, 7.5F, 30, 12.5F}));
  EXPECT_EQ(record.objects[1].label, 1);
  EXPECT_EQ(record.objects[1].box, (Box{0, 0, 20, 20}));
}

TEST_F(TxtDataset, ListsNameImagesWithOrWithoutExtensionOrFolder) {
  write_image("images/b.jpg", 10, 10);
  write_image("images/more/c.jpg", 10, 10);
  write_image("elsewhere/d.bmp", 10, 10);
  write("train.txt", "a\nb.jpg\nmore/c\n" + path("elsewhere/d.bmp") + "\n");
  write("labels/a.txt", "0 .5 .5 1 1\n");
  write("labels/more/c.txt", "0 .5 .5 1 1\n");
  write("labels/d.txt", "0 .5 .5 1 1\n");
  const auto dataset = open();
  std::vector<std::size_t> objects;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    objects.push_back(dataset->record(i).objects.size());
  }
  EXPECT_THAT(objects, ElementsAre(1, 0, 1, 1));
  EXPECT_EQ(dataset->record(2).image_id, "more/c");
}

TEST_F(TxtDataset, MissingAndEmptyLabelFilesMeanNoObjects) {
  EXPECT_TRUE(open()->record(0).objects.empty());
  write("labels/a.txt", "");
  EXPECT_TRUE(open()->record(0).objects.empty());
}

TEST_F(TxtDataset, MalformedLabelsNameFileAndLine) {
  for (const char* line : {"1 0.5 0.5 0.5", "1 0.5 0.5 0.5 0.5 1", "1 0.5 half 0.5 0.5",
                           "1.5 0.5 0.5 0.5 0.5", "1 0.5 nan 0.5 0.5"}) {
    write("labels/a.txt", std::string("0 .5 .5 1 1\n\n") + line + "\n");
    EXPECT_EQ(error(), path("labels/a.txt") + ":3: '" + line +
                           "' is not a label; expected 'class xc yc w h', the class a whole number "
                           "from 0, the others fractions of the image");
  }
}

TEST_F(TxtDataset, ClassBeyondTheNamesIsAnError) {
  for (const char* index : {"2", "-1"}) {
    write("labels/a.txt", std::string(index) + " .5 .5 1 1\n");
    EXPECT_EQ(error(), path("labels/a.txt") + ":1: class " + index +
                           ", but the data set has the classes 0..1 (left, right hand)");
  }
}

TEST_F(TxtDataset, MissingAndBrokenImagesAreNamed) {
  write("train.txt", "a.png\nzz.jpg\nbroken.jpg\n");
  write("images/broken.jpg", "no image");
  const auto problems = problems_of([this](const OpenOptions& options) { open(options); });
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].kind, ProblemKind::kMissingImage);
  EXPECT_EQ(problems[0].message,
            path("train.txt") + ":2: image 'zz.jpg' is not in " + path("images"));
  EXPECT_EQ(problems[1].kind, ProblemKind::kBrokenImage);
  EXPECT_EQ(problems[1].message, path("images/broken.jpg") +
                                     ": not an image that can be read, so its labels have no size");
}

TEST_F(TxtDataset, MistakesInTheDataFileAreConfigErrors) {
  write("hand.data", "classes = 2\nnames\n");
  EXPECT_EQ(config_error(),
            path("hand.data") + ":2: 'names' is not a line of the form key = value");
  write("hand.data", "classes = 2\n");
  EXPECT_EQ(config_error(), path("hand.data") + ": there is no line 'names = ...'");
  write("hand.data", "names = x.names\n");
  EXPECT_EQ(config_error(), path("hand.data") +
                                ": 'names = x.names' does not exist (tried x.names, " +
                                path("x.names") + ")");
  write("hand.data", "names = hand.names\nclasses = 3\n");
  EXPECT_EQ(config_error(),
            path("hand.data") + ": 'classes = 3', but " + path("hand.names") + " names 2 classes");
  definition_.split = "test";
  EXPECT_EQ(config_error(), "data set hand: SPLIT is 'test'; format txt has train and valid");
}

TEST_F(TxtDataset, ReadsImageSizesFromEveryKindOfHeader) {
  for (const char* name : {"s.jpg", "s.png", "s.bmp"}) {
    write_image(name, 123, 45);
    const auto size = read_image_size(path(name));
    ASSERT_TRUE(size) << name;
    EXPECT_EQ(*size, (Size2{45, 123})) << name;
  }
  write("cut.jpg", "\xFF\xD8\xFF");
  EXPECT_FALSE(read_image_size(path("cut.jpg")));
  EXPECT_FALSE(read_image_size(path("none.jpg")));
}

}  // namespace
}  // namespace ssdq
