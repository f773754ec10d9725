#include "ssdq/evaluation/coco_evaluator.h"

#include <cmath>

#include <gtest/gtest.h>

namespace ssdq {
namespace {

Object object(Box box, bool crowd = false, double area = -1) {
  Object result;
  result.box = box;
  result.label = 1;
  result.crowd = crowd;
  result.area = area;
  return result;
}

Record record(const std::string& id, std::vector<Object> objects) {
  Record result;
  result.image_id = id;
  result.objects = std::move(objects);
  return result;
}

double metric(const Evaluator& evaluator, const std::string& name) {
  for (const auto& [key, value] : evaluator.evaluate().metrics) {
    if (key == name) {
      return value;
    }
  }
  ADD_FAILURE() << "no metric " << name;
  return 0;
}

TEST(CocoEvaluator, ReportsTwelveNumbersInOrder) {
  std::vector<std::string> names;
  for (const auto& [name, value] : CocoEvaluator({"a"}).evaluate().metrics) {
    names.push_back(name);
    EXPECT_EQ(value, -1.0) << name;  // no ground truth
  }
  EXPECT_EQ(names, (std::vector<std::string>{"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1",
                                             "AR10", "AR100", "ARs", "ARm", "ARl"}));
}

TEST(CocoEvaluator, AnIouOfExactlyTheThresholdMatches) {
  CocoEvaluator evaluator({"a"});
  evaluator.add(record("1", {object({0, 0, 10, 10})}), {{{0, 0, 10, 5}, 0.9F, 1}});
  EXPECT_NEAR(metric(evaluator, "AP50"), 1.0, 1e-12);
  EXPECT_NEAR(metric(evaluator, "AP"), 0.1, 1e-12);
  EXPECT_EQ(metric(evaluator, "AP75"), 0.0);
}

TEST(CocoEvaluator, CrowdsAbsorbAnyNumberOfDetectionsInsideThem) {
  CocoEvaluator evaluator({"a"});
  evaluator.add(
      record("1", {object({0, 0, 200, 200}, true), object({300, 300, 340, 340})}),
      {{{0, 0, 20, 20}, 0.9F, 1}, {{30, 30, 60, 60}, 0.8F, 1}, {{300, 300, 340, 340}, 0.7F, 1}});
  EXPECT_NEAR(metric(evaluator, "AP"), 1.0, 1e-12);
}

TEST(CocoEvaluator, DetectionsOutsideTheAreaRangeAreNotWrongInIt) {
  CocoEvaluator evaluator({"a"});
  evaluator.add(record("1", {object({0, 0, 20, 20})}),
                {{{100, 100, 300, 300}, 0.9F, 1}, {{0, 0, 20, 20}, 0.8F, 1}});
  EXPECT_NEAR(metric(evaluator, "APs"), 1.0, 1e-12);
  EXPECT_NEAR(metric(evaluator, "AP"), 0.5, 1e-12);
  EXPECT_EQ(metric(evaluator, "APl"), -1.0);
}

TEST(CocoEvaluator, AreaOfTheAnnotationDecidesTheSize) {
  CocoEvaluator evaluator({"a"});  // a thin object in a large box
  evaluator.add(record("1", {object({0, 0, 100, 100}, false, 500)}), {{{0, 0, 100, 100}, 0.9F, 1}});
  EXPECT_NEAR(metric(evaluator, "ARs"), 1.0, 1e-12);
  EXPECT_EQ(metric(evaluator, "ARl"), -1.0);
}

TEST(CocoEvaluator, OnlyTheFirstDetectionsOfAnImageCount) {
  Record truth = record("1", {});
  Detections detections;
  for (int i = 0; i < 20; ++i) {
    const float x = 50.0F * static_cast<float>(i);
    truth.objects.push_back(object({x, 0, x + 40, 40}));
    detections.push_back({{x, 0, x + 40, 40}, 1.0F - 0.01F * static_cast<float>(i), 1});
  }
  CocoEvaluator evaluator({"a"});
  evaluator.add(truth, detections);
  EXPECT_NEAR(metric(evaluator, "AR1"), 0.05, 1e-12);
  EXPECT_NEAR(metric(evaluator, "AR10"), 0.5, 1e-12);
  EXPECT_NEAR(metric(evaluator, "AR100"), 1.0, 1e-12);
}

TEST(CocoEvaluator, PerClassIsNanWithoutGroundTruth) {
  CocoEvaluator evaluator({"a", "b"});
  evaluator.add(record("1", {object({0, 0, 10, 10})}), {{{0, 0, 10, 10}, 0.9F, 1}});
  const MetricTable table = evaluator.evaluate();
  EXPECT_NEAR(table.per_class.at(0).second, 1.0, 1e-12);
  EXPECT_TRUE(std::isnan(table.per_class.at(1).second));
}

}  // namespace
}  // namespace ssdq
