#include "ssdq/data/object_boxes.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class Records : public Dataset {
 public:
  explicit Records(std::vector<Record> records) : records_(std::move(records)) {}
  int64_t size() const override { return static_cast<int64_t>(records_.size()); }
  Record record(int64_t index) const override { return records_[static_cast<size_t>(index)]; }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string name() const override { return "records"; }
  std::string format() const override { return "voc"; }

 private:
  std::vector<Record> records_;
  std::vector<std::string> names_{"thing"};
};

Record record(const std::string& path, int width, int height, const std::vector<Box>& boxes) {
  Record one{"id", path, width, height, {}};
  for (const Box& box : boxes) {
    Object object;
    object.box = box;
    object.label = 1;
    one.objects.push_back(object);
  }
  return one;
}

TEST(ObjectBoxes, AreResizedAsTheImageAndClippedToIt) {
  const Records records({record("a", 600, 200, {{60, 20, 300, 100}, {590, -50, 700, 50}}),
                         record("b", 300, 300, {{5, 5, 5, 50}, {30, 60, 90, 120}}),
                         record("missing.jpg", 0, 0, {})});
  const ObjectBoxes found = object_boxes(records, {100, 300});
  EXPECT_THAT(found.boxes, testing::ElementsAre(Box{30, 10, 150, 50}, Box{295, 0, 300, 25},
                                                Box{30, 20, 90, 40}));
  EXPECT_EQ(found.left_out, 1);
}

TEST(ObjectBoxes, AskTheFileForAnUnknownSize) {
  const std::string path =
      SSDQ_SOURCE_DIR "/datasets/bccd/JPEGImages/BloodImage_00000.jpg";  // 640 x 480
  const Records records({record(path, 0, 0, {{64, 48, 128, 96}})});
  EXPECT_THAT(object_boxes(records, {300, 300}).boxes, testing::ElementsAre(Box{30, 30, 60, 60}));
  EXPECT_THROW(object_boxes(Records({record("missing.jpg", 0, 0, {{1, 1, 2, 2}})}), {9, 9}), Error);
}

}  // namespace
}  // namespace ssdq
