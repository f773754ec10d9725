#include "ssdq/evaluation/detection_bytes.h"

#include <cstring>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::vector<IndexedDetections> some_images() {
  return {{5, {{{1.5F, -2, 3, 4e-30F}, 0.25F, 3}, {{0, 0, 1, 1}, 1e-9F, 80}}},
          {2, {}},
          {std::numeric_limits<int64_t>::max(), {{{7, 8, 9, 10}, 1, 1}}}};
}

TEST(DetectionBytes, GiveTheSameDetectionsBack) {
  const auto images = some_images();
  const auto back = detections_from_bytes(to_bytes(images));
  ASSERT_EQ(back.size(), images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(back[i].index, images[i].index);
    ASSERT_EQ(back[i].detections.size(), images[i].detections.size());
    for (size_t k = 0; k < images[i].detections.size(); ++k) {
      EXPECT_EQ(std::memcmp(&back[i].detections[k], &images[i].detections[k], sizeof(Detection)),
                0);
    }
  }
  EXPECT_TRUE(detections_from_bytes("").empty());
}

// Every cut but those between images.
TEST(DetectionBytes, RefuseToEndInTheMiddle) {
  const auto images = some_images();
  const std::string bytes = to_bytes(images);
  const size_t first = to_bytes({images[0]}).size(), second = first + to_bytes({images[1]}).size();
  for (size_t length = 1; length < bytes.size(); ++length) {
    if (length != first && length != second) {
      EXPECT_THROW(detections_from_bytes(bytes.substr(0, length)), Error) << length;
    }
  }
}

TEST(MergeDetections, OrdersImagesAndRefusesWhatIsRepeatedOrLacking) {
  const std::vector<IndexedDetections> even = {{2, {}}, {0, {}}}, odd = {{1, {}}, {3, {}}};
  const auto merged = merge_detections({even, {}, odd}, 4);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(merged[static_cast<size_t>(i)].index, i);
  }
  const auto message = [](const std::vector<std::vector<IndexedDetections>>& parts, int64_t size) {
    try {
      merge_detections(parts, size);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message({even, odd, {{1, {}}}}, 4), testing::HasSubstr("repeat image 1 of 4"));
  EXPECT_THAT(message({even, {{3, {}}}}, 4), testing::HasSubstr("lack image 1 of 4"));
  EXPECT_THAT(message({even, odd}, 5), testing::HasSubstr("hold 4 images, expected 5"));
}

}  // namespace
}  // namespace ssdq
