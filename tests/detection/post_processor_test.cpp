#include "ssdq/detection/post_processor.h"

#include <limits>
#include <ostream>
#include <random>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/reference/post_processing.h"

namespace ssdq {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Outputs {
  std::vector<CenterBox> priors;
  std::vector<float> logits, locations;
};

// `background` is added to class 0, so that a large one leaves few candidates, as after training.
Outputs random_outputs(int num_images, int num_classes, std::vector<Size2> maps, float background,
                       unsigned seed) {
  PriorsConfig config;
  config.strides = {300 / maps[0].height, 300 / maps[1].height};
  config.min_sizes = {{40}, {90}};
  config.max_sizes = {90, 150};
  config.aspect_ratios = {{2}, {2, 3}};
  Outputs outputs;
  outputs.priors = make_priors(config, maps, {300, 300});
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < outputs.priors.size() * num_images; ++i) {
    for (int c = 0; c < num_classes; ++c) {
      outputs.logits.push_back(2 * normal(random) + (c == 0 ? background : 0));
    }
    for (int k = 0; k < 4; ++k) {
      outputs.locations.push_back(normal(random));
    }
  }
  return outputs;
}

void expect_same(const Detections& actual, const Detections& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].label, expected[i].label) << "detection " << i;
    EXPECT_NEAR(actual[i].score, expected[i].score, 2e-6) << "detection " << i;
    EXPECT_NEAR(actual[i].box.x1, expected[i].box.x1, 1e-2) << "detection " << i;
    EXPECT_NEAR(actual[i].box.y1, expected[i].box.y1, 1e-2) << "detection " << i;
    EXPECT_NEAR(actual[i].box.x2, expected[i].box.x2, 1e-2) << "detection " << i;
    EXPECT_NEAR(actual[i].box.y2, expected[i].box.y2, 1e-2) << "detection " << i;
  }
}

struct Case {
  const char* name;
  int num_classes;
  float background;
  PostProcessOptions options;
};

std::ostream& operator<<(std::ostream& out, const Case& value) { return out << value.name; }

PostProcessOptions limits(int candidates, int per_class, int per_image) {
  PostProcessOptions options;
  options.candidates_per_class = candidates;
  options.max_per_class = per_class;
  options.max_per_image = per_image;
  return options;
}

PostProcessOptions thresholds(float confidence, float nms, bool clip) {
  PostProcessOptions options;
  options.confidence_threshold = confidence;
  options.nms_threshold = nms;
  options.clip = clip;
  return options;
}

PostProcessOptions sigmoid(float confidence) {
  PostProcessOptions options = thresholds(confidence, 0.45F, true);
  options.scores = ScoreFunction::kSigmoid;
  return options;
}

class PostProcessorCases : public ::testing::TestWithParam<Case> {};

TEST_P(PostProcessorCases, EqualsTheReference) {
  const Case& param = GetParam();
  for (const unsigned seed : {1U, 2U, 3U}) {
    const Outputs outputs =
        random_outputs(1, param.num_classes, {{13, 17}, {5, 6}}, param.background, seed);
    const PostProcessor processor(outputs.priors, param.num_classes, param.options);
    const Size2 size{375, 500};
    const auto actual = processor.run(outputs.logits.data(), outputs.locations.data(), {size}, 1);
    const testing::ReferencePostProcessor reference(outputs.priors, param.num_classes,
                                                    param.options);
    const auto expected = reference.run(outputs.logits.data(), outputs.locations.data(), size);
    ASSERT_FALSE(expected.empty());
    expect_same(actual.at(0), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PostProcessorCases,
    ::testing::Values(Case{"Defaults", 21, 0, PostProcessOptions{}},
                      Case{"FewCandidates", 21, 8, PostProcessOptions{}},
                      Case{"NoLimits", 21, 0, limits(-1, -1, -1)},
                      Case{"AllCandidates", 21, 4, limits(-1, -1, 100)},
                      Case{"TenCandidates", 21, 0, limits(10, -1, -1)},
                      Case{"FiveOfAClass", 21, 0, limits(-1, 5, 60)},
                      Case{"OneOfAClass", 6, 0, limits(3, 1, -1)},
                      Case{"Sigmoid", 21, 0, sigmoid(0.5F)},
                      Case{"SigmoidOfEverything", 6, 0, sigmoid(0)},
                      Case{"SigmoidOfFew", 21, 0, sigmoid(0.995F)},
                      Case{"SigmoidOfTwoClasses", 2, 0, sigmoid(0.3F)},
                      Case{"TwoClasses", 2, 0, limits(-1, -1, -1)},
                      Case{"ManyClasses", 91, 5, limits(-1, -1, 300)},
                      Case{"EveryScore", 21, 0, thresholds(0, 0.45F, true)},
                      Case{"HighThreshold", 21, 0, thresholds(0.5F, 0.3F, false)},
                      Case{"TouchingBoxesOnly", 21, 0, thresholds(0.05F, 0, true)}),
    [](const ::testing::TestParamInfo<Case>& test) { return test.param.name; });

TEST(PostProcessor, NumberOfThreadsChangesNothing) {
  const Outputs outputs = random_outputs(5, 21, {{24, 24}, {12, 12}}, 3, 4);
  const std::vector<Size2> sizes{{300, 300}, {480, 640}, {1, 1}, {720, 1280}, {333, 500}};
  const PostProcessor processor(outputs.priors, 21, limits(-1, -1, -1));
  const auto expected = processor.run(outputs.logits.data(), outputs.locations.data(), sizes, 1);
  for (const int threads : {0, 2, 3, 8}) {
    const auto actual =
        processor.run(outputs.logits.data(), outputs.locations.data(), sizes, threads);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t n = 0; n < sizes.size(); ++n) {
      ASSERT_EQ(actual[n].size(), expected[n].size());
      for (size_t i = 0; i < actual[n].size(); ++i) {
        EXPECT_EQ(actual[n][i].label, expected[n][i].label);
        EXPECT_EQ(actual[n][i].score, expected[n][i].score);
        EXPECT_EQ(actual[n][i].box, expected[n][i].box);
      }
    }
  }
}

// Three priors far apart, or as given, with no regression.
struct Small {
  std::vector<CenterBox> priors{
      {0.2F, 0.2F, 0.1F, 0.1F}, {0.5F, 0.5F, 0.1F, 0.1F}, {0.8F, 0.8F, 0.1F, 0.1F}};
  std::vector<float> locations = std::vector<float>(12, 0);
  PostProcessOptions options;

  Detections run(const std::vector<float>& logits) const {
    const PostProcessor processor(priors, static_cast<int>(logits.size() / 3), options);
    return processor.run(logits.data(), locations.data(), {{100, 100}}, 1).at(0);
  }
};

TEST(PostProcessor, EqualScoresComeByClassThenPrior) {
  const Small small;
  const auto found = small.run({0, 1, 1, 0, 1, 1, 0, 1, 1});
  ASSERT_EQ(found.size(), 6U);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(found[i].label, static_cast<int>(i / 3) + 1);
    EXPECT_NEAR(found[i].box.x1, 15 + 30 * static_cast<float>(i % 3), 1e-3);
  }
}

TEST(PostProcessor, SuppressesWithinAClassOnly) {
  Small small;
  small.priors.assign(3, {0.5F, 0.5F, 0.2F, 0.2F});
  const auto found = small.run({0, 3, 1, 0, 1, 3, 0, 2, 2});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].label, 1);
  EXPECT_EQ(found[1].label, 2);
}

TEST(PostProcessor, HugeAndInfiniteLogitsAreBounded) {
  const Small small;
  const auto found = small.run({-1e30F, 1e30F, -kInfinity, -kInfinity, 500, 499, 1e30F, 0, 0});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].score, 1.0F);
  EXPECT_NEAR(found[1].score, 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(found[2].score, 1 / (1 + std::exp(1.0)), 1e-6);
}

TEST(PostProcessor, RowsThatAreNotNumbersGiveNothing) {
  Small small;
  EXPECT_TRUE(small.run({kNan, 5, 0, kInfinity, kInfinity, 0, 0, kNan, 5}).empty());
  EXPECT_TRUE(small.run({0, kInfinity, 0, 0, 5, kNan, -kInfinity, -kInfinity, -kInfinity}).empty());
  small.options.scores = ScoreFunction::kSigmoid;
  EXPECT_TRUE(small.run({kNan, 5, 0, kInfinity, 5, 0, 0, kNan, 5}).empty());
  EXPECT_TRUE(small.run({0, kInfinity, 0, 0, 5, kNan, 0, -kInfinity, -1e30F}).empty());
  small.options.scores = ScoreFunction::kSoftmax;
  small.locations = {kNan, 0, 0, 0, 0, 0, 1e6F, 0, 0, 0, 0, 0};
  EXPECT_EQ(small.run({0, 5, 0, 0, 5, 0, 0, 5, 0}).size(), 1U);
}

TEST(PostProcessor, ClipsWhatItReturnsToTheImage) {
  Small small;
  small.priors[0] = {0.0F, 1.0F, 0.2F, 0.4F};
  auto found = small.run({0, 9, 0, 8, 0, 7});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].box, (Box{0, 80, 10, 100}));
  small.options.clip = false;
  found = small.run({0, 9, 0, 8, 0, 7});
  EXPECT_NEAR(found[0].box.x1, -10, 1e-4);
  EXPECT_NEAR(found[0].box.y2, 120, 1e-4);
}

TEST(PostProcessor, NothingAboveTheThresholdIsAnEmptyList) {
  const Small small;
  EXPECT_TRUE(small.run({9, 0, 0, 9, 0, 0, 9, 0, 0}).empty());
}

TEST(PostProcessor, RefusesOptionsOutOfRange) {
  PostProcessOptions options;
  options.confidence_threshold = 1;
  try {
    const PostProcessor refused(Small{}.priors, 3, options);
    FAIL() << "expected a ConfigError";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "TEST.CONFIDENCE_THRESHOLD is 1; expected a number from 0 to below 1");
  }
  EXPECT_THROW(PostProcessor({}, 3, PostProcessOptions{}), ConfigError);
  EXPECT_THROW(PostProcessor(Small{}.priors, 1, PostProcessOptions{}), ConfigError);
}

}  // namespace
}  // namespace ssdq
