#include "ssdq/evaluation/voc_evaluator.h"

#include <cmath>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Object object(Box box, bool difficult = false) {
  Object result;
  result.box = box;
  result.label = 1;
  result.difficult = difficult;
  return result;
}

Record record(const std::string& id, std::vector<Object> objects) {
  Record result;
  result.image_id = id;
  result.objects = std::move(objects);
  return result;
}

double map(const VocEvaluator& evaluator) { return evaluator.evaluate().metrics.at(0).second; }

TEST(VocAveragePrecision, AreaUsesTheHighestPrecisionToTheRight) {
  // 0.25 * 1 + 0.25 * 0.6 + 0.25 * 0.6
  EXPECT_DOUBLE_EQ(
      voc_average_precision({0.25, 0.25, 0.5, 0.5, 0.75}, {1, 0.5, 0.5, 0.4, 0.6}, false), 0.55);
}

TEST(VocAveragePrecision, ElevenPointSamplesThatCurve) {
  // Recalls 0, .1, .2 see 1; .3 to .7 see 0.6; the rest nothing.
  EXPECT_NEAR(voc_average_precision({0.25, 0.25, 0.5, 0.5, 0.75}, {1, 0.5, 0.5, 0.4, 0.6}, true),
              (3 * 1 + 5 * 0.6) / 11, 1e-15);
}

TEST(VocEvaluator, AnIouOfExactlyTheThresholdIsNoMatch) {
  // Inclusive pixels: 10 x 5 in 10 x 10.
  VocEvaluator half({"a"});
  half.add(record("1", {object({0, 0, 9, 9})}), {{{0, 0, 9, 4}, 0.9F, 1}});
  EXPECT_EQ(map(half), 0.0);
  VocEvaluator more({"a"});
  more.add(record("1", {object({0, 0, 9, 9})}), {{{0, 0, 9, 4.5F}, 0.9F, 1}});
  EXPECT_EQ(map(more), 1.0);
}

TEST(VocEvaluator, PlusOneDecidesWhatAWidthIs) {
  VocOptions continuous;
  continuous.plus_one = false;
  VocEvaluator evaluator({"a"}, continuous);
  evaluator.add(record("1", {object({0, 0, 10, 10})}), {{{0, 0, 10, 5}, 0.9F, 1}});
  EXPECT_EQ(map(evaluator), 0.0);
  VocEvaluator inclusive({"a"});  // 11 * 6 / 121 > 0.5
  inclusive.add(record("1", {object({0, 0, 10, 10})}), {{{0, 0, 10, 5}, 0.9F, 1}});
  EXPECT_EQ(map(inclusive), 1.0);
}

TEST(VocEvaluator, SecondMatchOfAnObjectIsWrong) {
  VocEvaluator evaluator({"a"});
  evaluator.add(record("1", {object({0, 0, 9, 9}), object({50, 50, 59, 59})}),
                {{{0, 0, 9, 9}, 0.9F, 1}, {{0, 0, 9, 9}, 0.8F, 1}, {{50, 50, 59, 59}, 0.7F, 1}});
  EXPECT_DOUBLE_EQ(map(evaluator), 0.5 + 0.5 * 2 / 3);
}

TEST(VocEvaluator, DifficultObjectsCountNeitherWay) {
  VocEvaluator evaluator({"a"});
  evaluator.add(
      record("1", {object({0, 0, 9, 9}), object({50, 50, 59, 59}, true),
                   object({80, 80, 89, 89}, true)}),
      {{{50, 50, 59, 59}, 0.9F, 1}, {{50, 50, 59, 59}, 0.8F, 1}, {{0, 0, 9, 9}, 0.7F, 1}});
  EXPECT_EQ(map(evaluator), 1.0);
}

TEST(VocEvaluator, ClassesWithoutGroundTruthAreLeftOutOfTheMean) {
  VocEvaluator evaluator({"a", "b"});
  evaluator.add(record("1", {object({0, 0, 9, 9})}),
                {{{0, 0, 9, 9}, 0.9F, 1}, {{0, 0, 9, 9}, 0.9F, 2}});
  const MetricTable table = evaluator.evaluate();
  EXPECT_EQ(table.metrics.at(0).second, 1.0);
  EXPECT_TRUE(std::isnan(table.per_class.at(1).second));
}

TEST(VocEvaluator, NothingAddedGivesNan) { EXPECT_TRUE(std::isnan(map(VocEvaluator({"a"})))); }

TEST(VocEvaluator, TitleNamesTheProtocol) {
  VocOptions options;
  options.eleven_point = true;
  options.iou_threshold = 0.75;
  EXPECT_EQ(VocEvaluator({"a"}).evaluate().title, "VOC AP@0.5, area under the curve");
  EXPECT_EQ(VocEvaluator({"a"}, options).evaluate().title, "VOC AP@0.75, 11-point");
}

TEST(VocEvaluator, ThresholdOutOfRangeIsAConfigError) {
  VocOptions options;
  options.iou_threshold = 1;
  EXPECT_THROW(VocEvaluator({"a"}, options), ConfigError);
}

}  // namespace
}  // namespace ssdq
