#include "ssdq/evaluation/detection_store.h"

#include <algorithm>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Record record(const std::string& id, int label) {
  Record result;
  result.image_id = id;
  result.objects.emplace_back();
  result.objects.back().label = label;
  return result;
}

std::string message(DetectionStore& store, const Record& truth, const Detections& detections) {
  try {
    store.add(truth, detections);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ImageIdLess, NumbersGoByValueBeforeNames) {
  std::vector<std::string> ids = {"x2", "10", "9", "x10", "0009", "100", "", "0"};
  std::sort(ids.begin(), ids.end(), image_id_less);
  EXPECT_THAT(ids, testing::ElementsAre("0", "0009", "9", "10", "100", "", "x10", "x2"));
}

TEST(DetectionStore, GroupsByClassWithImagesInOrder) {
  DetectionStore store({"a", "b"});
  store.add(record("20", 2), {{{}, 0.1F, 2}, {{}, 0.7F, 2}});
  store.add(record("3", 2), {{{}, 0.5F, 1}});
  const auto classes = store.by_class();
  ASSERT_EQ(classes.at(0).size(), 1U);
  EXPECT_TRUE(classes[0][0].objects.empty());
  ASSERT_EQ(classes.at(1).size(), 2U);
  EXPECT_TRUE(classes[1][0].detections.empty());
  ASSERT_EQ(classes[1][1].detections.size(), 2U);
  EXPECT_EQ(classes[1][1].detections[0]->score, 0.7F);
}

TEST(DetectionStore, BadInputIsRefusedWithItsImage) {
  DetectionStore store({"a", "b"});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(message(store, record("7", 3), {}),
            "evaluation: an object of image '7' has label 3, expected 1..2");
  EXPECT_EQ(message(store, record("7", 1), {{{}, 0.5F, 0}}),
            "evaluation: a detection of image '7' has label 0, expected 1..2");
  EXPECT_EQ(message(store, record("7", 1), {{{1, 2, 3, 4}, nan, 1}}),
            "evaluation: a detection of image '7' has score nan and box (1, 2, 3, 4), expected "
            "finite numbers");
  EXPECT_EQ(message(store, record("7", 1), {}), "");  // what was refused left nothing behind
  EXPECT_EQ(message(store, record("7", 1), {}), "evaluation: image '7' was added twice");
}

}  // namespace
}  // namespace ssdq
