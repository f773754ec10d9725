#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "datasets_testing.h"
#include "ssdq/data/box_policy.h"

namespace ssdq {
namespace {

using testing::message_of;

constexpr Size2 kImage{100, 200};

Record record_with(const Box& box, int label = 1) {
  Record record;
  record.image_id = "000042";
  record.objects.push_back({{10, 10, 20, 20}, 1});
  record.objects.push_back({box, label});
  return record;
}

struct FaultCase {
  const char* name;
  Box box;
  std::optional<BoxFault> fault;
};

class BoxFaults : public ::testing::TestWithParam<FaultCase> {};

TEST_P(BoxFaults, AreFound) { EXPECT_EQ(find_box_fault(GetParam().box, kImage), GetParam().fault); }

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

INSTANTIATE_TEST_SUITE_P(
    All, BoxFaults,
    ::testing::Values(FaultCase{"Inside", {0, 0, 200, 100}, std::nullopt},
                      FaultCase{"ZeroBasedVoc", {-1, -1, 20, 20}, std::nullopt},
                      FaultCase{"OnePixelOver", {5, 5, 201, 101}, std::nullopt},
                      FaultCase{"NotANumber", {kNan, 0, 1, 1}, BoxFault::kNotFinite},
                      FaultCase{"Infinite", {0, 0, kInf, 1}, BoxFault::kNotFinite},
                      FaultCase{"ReversedX", {20, 0, 10, 10}, BoxFault::kReversed},
                      FaultCase{"ReversedY", {0, 20, 10, 10}, BoxFault::kReversed},
                      FaultCase{"ZeroWidth", {5, 5, 5, 9}, BoxFault::kNoArea},
                      FaultCase{"ZeroHeight", {5, 5, 9, 5}, BoxFault::kNoArea},
                      FaultCase{"RightOfImage", {200, 5, 230, 9}, BoxFault::kOutside},
                      FaultCase{"WithinToleranceButOutside", {-1, 5, 0, 9}, BoxFault::kOutside},
                      FaultCase{"AboveImage", {5, -30, 9, -10}, BoxFault::kOutside},
                      FaultCase{"OverTheRight", {150, 5, 202, 9}, BoxFault::kPartlyOutside},
                      FaultCase{"OverTheTop", {5, -3, 9, 9}, BoxFault::kPartlyOutside}),
    [](const auto& test) { return test.param.name; });

TEST(BoxPolicy, UnknownImageSizeJudgesTheBoxAlone) {
  EXPECT_EQ(find_box_fault({-50, 0, 5000, 10}, {0, 0}), std::nullopt);
  EXPECT_EQ(find_box_fault({5, 5, 5, 9}, {0, 0}), BoxFault::kNoArea);
}

TEST(BoxPolicy, ClipKeepsThePartInside) {
  const auto result = sanitize(record_with({150, -5, 260, 50}), kImage, BoxPolicy::kClip, 2);
  ASSERT_EQ(result.objects.size(), 2U);
  EXPECT_EQ(result.objects[1].box, (Box{150, 0, 200, 50}));
  ASSERT_EQ(result.issues.size(), 1U);
  EXPECT_EQ(result.issues[0].object, 2);
  EXPECT_EQ(result.issues[0].fault, BoxFault::kPartlyOutside);
}

TEST(BoxPolicy, ClipDropsWhatHasNoArea) {
  for (const Box& box :
       {Box{5, 5, 5, 9}, Box{9, 5, 5, 9}, Box{300, 5, 310, 9}, Box{kNan, 0, 1, 1}}) {
    const auto result = sanitize(record_with(box), kImage, BoxPolicy::kClip, 2);
    EXPECT_EQ(result.objects.size(), 1U);
    EXPECT_EQ(result.issues.size(), 1U);
  }
}

TEST(BoxPolicy, DropRemovesPartlyOutsideToo) {
  EXPECT_EQ(sanitize(record_with({150, 5, 260, 50}), kImage, BoxPolicy::kDrop, 2).objects.size(),
            1U);
}

TEST(BoxPolicy, EveryPolicyClipsTheToleratedPixelInSilence) {
  for (const BoxPolicy policy : {BoxPolicy::kClip, BoxPolicy::kDrop, BoxPolicy::kError}) {
    const auto result = sanitize(record_with({-1, -1, 30, 30}), kImage, policy, 2);
    ASSERT_EQ(result.objects.size(), 2U);
    EXPECT_EQ(result.objects[1].box, (Box{0, 0, 30, 30}));
    EXPECT_TRUE(result.issues.empty());
  }
}

TEST(BoxPolicy, ErrorNamesImageObjectAndBox) {
  EXPECT_EQ(message_of<Error>([] {
              sanitize(record_with({5, 7, 5, 9}), kImage, BoxPolicy::kError, 2);
            }),
            "image 000042: object 2, box (5, 7, 5, 9) has no area; correct the annotation, or set "
            "DATASETS.BAD_BOXES to clip or drop");
}

TEST(BoxPolicy, LabelBeyondTheClassesIsAnErrorUnderEveryPolicy) {
  for (const BoxPolicy policy : {BoxPolicy::kClip, BoxPolicy::kDrop, BoxPolicy::kError}) {
    EXPECT_EQ(message_of<Error>([&] {
                sanitize(record_with({1, 1, 9, 9}, 4), kImage, policy, 4);
              }),
              "image 000042: object 2 has label 4, but MODEL.NUM_CLASSES 4 (background included) "
              "allows 1..3; set MODEL.NUM_CLASSES to the classes of the data set plus 1");
  }
  EXPECT_THROW(sanitize(record_with({1, 1, 9, 9}, 0), kImage, BoxPolicy::kClip, 4), Error);
}

TEST(BoxPolicy, IsReadFromItsName) {
  EXPECT_EQ(parse_box_policy("clip"), BoxPolicy::kClip);
  EXPECT_EQ(parse_box_policy("drop"), BoxPolicy::kDrop);
  EXPECT_EQ(parse_box_policy("error"), BoxPolicy::kError);
  EXPECT_EQ(message_of<ConfigError>([] { parse_box_policy("ignore"); }),
            "DATASETS.BAD_BOXES is 'ignore'; it must be clip, drop or error");
}

}  // namespace
}  // namespace ssdq
