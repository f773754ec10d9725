#include "ssdq/evaluation/evaluator.h"

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Image `i` of a series with overlapping boxes and few distinct scores.
void add_image(Evaluator& evaluator, int i) {
  Record truth;
  truth.image_id = std::to_string(i * 37 % 101);
  Detections detections;
  for (int k = 0; k < 4; ++k) {
    Object object;
    const auto x = static_cast<float>((i * 7 + k * 31) % 90);
    object.box = {x, x, x + 30, x + 20};
    object.label = 1 + (i + k) % 2;
    truth.objects.push_back(object);
    const auto shift = static_cast<float>((i + k) % 5) * 4;
    detections.push_back({{x + shift, x, x + 30 + shift, x + 20},
                          0.25F * static_cast<float>(1 + (i * k) % 4),
                          1 + (i + k + (i % 3 == 0 ? 1 : 0)) % 2});
  }
  evaluator.add(truth, detections);
}

class EveryEvaluator : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Evaluator> make() const { return make_evaluator(GetParam(), {"a", "b"}); }
};

TEST_P(EveryEvaluator, MergingPartsInAnyOrderEqualsOneEvaluator) {
  const auto whole = make();
  const auto part0 = make();
  const auto part1 = make();
  for (int i = 0; i < 40; ++i) {
    add_image(*whole, i);
    add_image(i % 2 == 0 ? *part0 : *part1, i);
  }
  add_image(*part1, 0);  // a sampler's padding
  part1->merge(*part0);
  const MetricTable expected = whole->evaluate();
  EXPECT_EQ(part1->evaluate().metrics, expected.metrics);
  EXPECT_EQ(part1->evaluate().per_class, expected.per_class);
  EXPECT_GT(expected.metrics.at(0).second, 0.0);
  EXPECT_LT(expected.metrics.at(0).second, 1.0);
}

TEST_P(EveryEvaluator, ResetForgetsEverything) {
  const auto used = make();
  const auto fresh = make();
  add_image(*used, 1);
  used->reset();
  add_image(*used, 1);
  add_image(*fresh, 1);
  EXPECT_EQ(used->evaluate().metrics, fresh->evaluate().metrics);
}

TEST_P(EveryEvaluator, OtherMetricsAndClassesAreNotMerged) {
  const auto other = make_evaluator(GetParam() == "coco" ? "voc_area" : "coco", {"a", "b"});
  EXPECT_THROW(make()->merge(*other), Error);
  EXPECT_THROW(make()->merge(*make_evaluator(GetParam(), {"a"})), Error);
}

INSTANTIATE_TEST_SUITE_P(All, EveryEvaluator, testing::Values("coco", "voc_11point", "voc_area"),
                         [](const auto& param_info) { return param_info.param; });

TEST(MakeEvaluator, ListsWhatItMakes) {
  for (const EvaluatorInfo& info : evaluator_list()) {
    EXPECT_NE(make_evaluator(info.name, {"a"}), nullptr) << info.name;
    EXPECT_FALSE(info.summary.empty());
  }
}

TEST(MakeEvaluator, UnknownMetricNamesTheKnownOnes) {
  try {
    make_evaluator("voc", {"a"});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "unknown metric 'voc' (known: coco, voc_11point, voc_area)");
  }
}

}  // namespace
}  // namespace ssdq
