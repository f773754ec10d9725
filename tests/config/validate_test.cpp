#include "ssdq/config/validate.h"

#include <gtest/gtest.h>

#include "tests/config/config_testing.h"

namespace ssdq {
namespace {

const KnownNames& known_names() {
  static const KnownNames names{{"SSDDetector"},       {"cfg_backbone", "vgg"},
                                {"SSDBoxHead"},        {"SSDBoxPredictor", "SSDLiteBoxPredictor"},
                                {"dorefa", "iao"},     {"normal", "shortcut"},
                                {"coco", "txt", "voc"}};
  return names;
}

std::string error_of(const std::vector<std::string>& overrides) {
  const LoadedConfig loaded = load_config("", overrides);
  return testing::config_error([&] { validate(loaded.config, loaded.origins, known_names()); });
}

TEST(Validate, DefaultsHold) { EXPECT_EQ(error_of({}), "no ConfigError"); }

TEST(Validate, NamesAreKnownInAnyCase) {
  EXPECT_EQ(
      error_of({"MODEL.BACKBONE.NAME", "VGG", "QUANTIZATION.TYPE", "IAO", "PRUNE.TYPE", "no"}),
      "no ConfigError");
}

TEST(Validate, UnknownNamesAreAllReportedWithTheNearest) {
  EXPECT_EQ(error_of({"QUANTIZATION.TYPE", "doreffa", "MODEL.BACKBONE.NAME", "resnet9",
                      "MODEL.BOX_HEAD.PREDICTOR", "SSDLitePredictor"}),
            "command line: MODEL.BACKBONE.NAME: unknown name 'resnet9' (known: cfg_backbone, vgg)\n"
            "command line: MODEL.BOX_HEAD.PREDICTOR: unknown name 'SSDLitePredictor'; did you mean "
            "'SSDLiteBoxPredictor'? "
            "(known: SSDBoxPredictor, SSDLiteBoxPredictor)\n"
            "command line: QUANTIZATION.TYPE: unknown name 'doreffa'; did you mean 'dorefa'? "
            "(known: dorefa, iao, none)");
}

TEST(Validate, DataSetFormatsAreKnown) {
  EXPECT_EQ(error_of({"DATASETS.DEFINE.a.FORMAT", "vco", "DATASETS.DEFINE.b.ROOT", "x"}),
            "command line: DATASETS.DEFINE.a.FORMAT: unknown name 'vco'; did you mean 'voc'? "
            "(known: coco, txt, voc)\n"
            "command line: DATASETS.DEFINE.b has no FORMAT");
}

TEST(Validate, PriorListsHaveOneEntryForEachLevel) {
  EXPECT_EQ(error_of({"MODEL.PRIORS.STRIDES", "[8, 16]", "MODEL.BACKBONE.OUT_CHANNELS", "(512,)"}),
            "command line: MODEL.PRIORS.STRIDES has 2 entries, but MODEL.PRIORS.MIN_SIZES has 6; "
            "they must have one for each feature map\n"
            "command line: MODEL.BACKBONE.OUT_CHANNELS has 1 entry, but MODEL.PRIORS.MIN_SIZES has "
            "6; they must have one for each feature map");
}

TEST(Validate, BoxesPerLocationCountTheShapes) {
  EXPECT_EQ(error_of({"MODEL.PRIORS.BOXES_PER_LOCATION", "[4, 6, 6, 6, 4, 6]"}),
            "command line: MODEL.PRIORS.BOXES_PER_LOCATION[5] is 6, but the level has 4 boxes (1 x "
            "(1 + 1 for MAX_SIZES + 2 x 1 "
            "ASPECT_RATIOS))");
  EXPECT_EQ(error_of({"MODEL.PRIORS.MAX_SIZES", "[]", "MODEL.PRIORS.BOXES_PER_LOCATION",
                      "[3, 5, 5, 5, 3, 3]"}),
            "no ConfigError");
  EXPECT_EQ(error_of({"MODEL.PRIORS.MIN_SIZES", "[[30, 40], 60, 111, 162, 213, 264]",
                      "MODEL.PRIORS.BOXES_PER_LOCATION", "[8, 6, 6, 6, 4, 4]"}),
            "no ConfigError");
  EXPECT_EQ(error_of({"MODEL.PRIORS.MAX_SIZES", "[0, 111, 162, 213, 264, 315]",
                      "MODEL.PRIORS.BOXES_PER_LOCATION", "[3, 6, 6, 6, 4, 4]"}),
            "no ConfigError");
}

TEST(Validate, PixelStatisticsMatchChannels) {
  EXPECT_EQ(error_of({"INPUT.PIXEL_MEAN", "[128]"}),
            "command line: INPUT.PIXEL_MEAN has 1 numbers, but INPUT.CHANNELS is 3");
  EXPECT_EQ(error_of({"INPUT.CHANNELS", "1"}),
            "command line: INPUT.PIXEL_MEAN has 3 numbers, but INPUT.CHANNELS is 1\n"
            "command line: INPUT.PIXEL_STD has 3 numbers, but INPUT.CHANNELS is 1");
}

TEST(Validate, LearningRateStepsIncrease) {
  EXPECT_EQ(error_of({"SOLVER.LR_STEPS", "[100, 100]"}),
            "command line: SOLVER.LR_STEPS must increase, got 100 after 100");
}

TEST(Validate, TypesOfRulesAreKnownMethods) {
  EXPECT_EQ(error_of({"QUANTIZATION.POLICY",
                      "[{MATCH: a, TYPE: Iao}, {MATCH: b, TYPE: dorfea}, {MATCH: c, TYPE: no}]"}),
            "command line: QUANTIZATION.POLICY[1].TYPE: unknown name 'dorfea'; did you mean "
            "'dorefa'? (known: dorefa, iao)\n"
            "command line: QUANTIZATION.POLICY[2].TYPE is none; write SKIP: true to leave nodes in "
            "float");
}

TEST(Validate, RangesAreObservedUntilQuantizationStarts) {
  EXPECT_EQ(error_of({"QUANTIZATION.START_ITER", "100", "QUANTIZATION.STOP_OBSERVING_ITER", "100"}),
            "no ConfigError");
  EXPECT_EQ(error_of({"QUANTIZATION.START_ITER", "100", "QUANTIZATION.STOP_OBSERVING_ITER", "99"}),
            "command line: QUANTIZATION.STOP_OBSERVING_ITER is 99, before START_ITER, 100; ranges "
            "must be observed until quantization starts");
}

TEST(Validate, ProgressiveIterationsRiseAndWidthsFall) {
  EXPECT_EQ(error_of({"QUANTIZATION.PROGRESSIVE", "[[0, 8, 8], [10, 8, 4], [20, 4, 4]]"}),
            "no ConfigError");
  EXPECT_EQ(error_of({"QUANTIZATION.PROGRESSIVE", "[[0, 8, 8], [10, 4, 4], [10, 2, 2]]"}),
            "command line: QUANTIZATION.PROGRESSIVE: iterations must increase, got 10 after 10 in "
            "entry 2");
  EXPECT_EQ(error_of({"QUANTIZATION.PROGRESSIVE", "[[0, 4, 8], [10, 8, 4]]"}),
            "command line: QUANTIZATION.PROGRESSIVE: weight widths must not grow, got 8 after 4 in "
            "entry 1");
  EXPECT_EQ(error_of({"QUANTIZATION.PROGRESSIVE", "[[0, 8, 4], [10, 4, 8]]"}),
            "command line: QUANTIZATION.PROGRESSIVE: activation widths must not grow, got 8 after "
            "4 in entry 1");
}

TEST(Validate, PlaceIsTheLineOfTheFile) {
  const LoadedConfig loaded = load_config(testing::data_path("bad_steps.yaml"));
  EXPECT_EQ(testing::config_error([&] { validate(loaded.config, loaded.origins, known_names()); }),
            testing::data_path("bad_steps.yaml") +
                ":2:13: SOLVER.LR_STEPS must increase, got 100 after 200");
}

TEST(Validate, ATeacherHasAConfigurationAndSomethingToTeach) {
  EXPECT_EQ(error_of({"DISTILLATION.WEIGHTS", "t.safetensors"}),
            "command line: DISTILLATION.WEIGHTS is set, but CONFIG_FILE is not; expected the "
            "configuration of the teacher");
  EXPECT_EQ(error_of({"DISTILLATION.CONFIG_FILE", "t.yaml", "DISTILLATION.LOGITS", "0",
                      "DISTILLATION.BOXES", "0"}),
            "command line: DISTILLATION: LOGITS, BOXES and FEATURES are 0, so nothing of the "
            "teacher is imitated; leave CONFIG_FILE out or give one of them a weight");
  EXPECT_EQ(error_of({"DISTILLATION.CONFIG_FILE", "t.yaml", "DISTILLATION.LOGITS", "0"}),
            "no ConfigError");
}

}  // namespace
}  // namespace ssdq
