#include "ssdq/config/reader.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_testing.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Writes files into a folder of its own and reads configurations there.
class ConfigFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "ssdq_config_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ / name) << text;
    return (dir_ / name).string();
  }

  // The error without the folder's name.
  std::string error(const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    const std::string file = write("a.yaml", yaml);
    return without_folder(testing::config_error([&] { load_config(file, overrides); }));
  }

  std::string without_folder(std::string text) const {
    const std::string folder = dir_.string() + "/";
    for (size_t at; (at = text.find(folder)) != std::string::npos;) {
      text.erase(at, folder.size());
    }
    return text;
  }

  fs::path dir_;
};

TEST_F(ConfigFiles, UnknownKeyNamesTheNearestAndAllKnown) {
  EXPECT_EQ(error("PRUNE:\n  TYP: no\n"),
            "a.yaml:2:3: unknown key PRUNE.TYP; did you mean 'TYPE'? (known: TYPE, SR, "
            "SR_SCHEDULE, SR_FINAL, SR_WARMUP_ITERS, PENALTY, POLARIZATION)");
  EXPECT_THAT(error("FOO: 1\n"), StartsWith("a.yaml:1:1: unknown key FOO (known: VERSION, "));
}

TEST_F(ConfigFiles, KeySetTwiceNamesTheFirstLine) {
  EXPECT_EQ(error("SOLVER:\n  LR: 1\n  GAMMA: 0.5\n  LR: 2\n"),
            "a.yaml:4:3: SOLVER.LR is set twice in this file, first in line 2");
}

TEST_F(ConfigFiles, WrongTypesSayWhatWasExpected) {
  EXPECT_EQ(error("SOLVER: {LR: fast}\n"), "a.yaml:1:14: SOLVER.LR: expected a number, got 'fast'");
  EXPECT_EQ(error("MODEL: {CENTER_VARIANCE: [1]}\n"),
            "a.yaml:1:26: MODEL.CENTER_VARIANCE: expected a number, got the list [1]");
  EXPECT_EQ(error("SOLVER: {MAX_ITER: 010}\n"),
            "a.yaml:1:20: SOLVER.MAX_ITER: expected an integer without leading zeros, got '010'");
  EXPECT_EQ(error("SOLVER: {BATCH_SIZE: 4.0}\n"),
            "a.yaml:1:22: SOLVER.BATCH_SIZE: expected an integer, 4, got '4.0'");
}

TEST_F(ConfigFiles, RangesAndChoicesAreNamed) {
  EXPECT_EQ(error("SOLVER: {GAMMA: -1}\n"), "a.yaml:1:17: SOLVER.GAMMA must be above 0, got -1");
  EXPECT_EQ(error("MODEL: {NUM_CLASSES: 1}\n"),
            "a.yaml:1:22: MODEL.NUM_CLASSES must be at least 2, got 1");
  EXPECT_EQ(error("TEST: {METRIC: voc}\n"),
            "a.yaml:1:16: TEST.METRIC must be one of auto, voc_area, voc_11point, coco, got 'voc'");
}

TEST_F(ConfigFiles, SectionIsNoValue) {
  EXPECT_EQ(error("PRUNE: normal\n"),
            "a.yaml:1:8: PRUNE is a section, not a value; set one of its keys: TYPE, SR, "
            "SR_SCHEDULE, SR_FINAL, "
            "SR_WARMUP_ITERS, PENALTY, POLARIZATION");
  EXPECT_EQ(error("SEED: 1\n", {"PRUNE", "normal"}),
            "command line: PRUNE is a section, not a value; set one of its keys: TYPE, SR, "
            "SR_SCHEDULE, SR_FINAL, "
            "SR_WARMUP_ITERS, PENALTY, POLARIZATION");
}

TEST_F(ConfigFiles, AllProblemsComeTogetherInTheOrderOfTheirLines) {
  EXPECT_EQ(error("TEST: {METRIC: voc}\nPRUNE: {TYP: no}\nSOLVER: {GAMMA: -1}\n"),
            "a.yaml:1:16: TEST.METRIC must be one of auto, voc_area, voc_11point, coco, got 'voc'\n"
            "a.yaml:2:9: unknown key PRUNE.TYP; did you mean 'TYPE'? (known: TYPE, SR, "
            "SR_SCHEDULE, SR_FINAL, SR_WARMUP_ITERS, PENALTY, POLARIZATION)\n"
            "a.yaml:3:17: SOLVER.GAMMA must be above 0, got -1");
}

TEST_F(ConfigFiles, OverrideWithoutValueIsRefused) {
  EXPECT_EQ(error("SEED: 1\n", {"SOLVER.LR", "0.1", "SEED"}),
            "command line: SEED has no value; overrides are pairs, KEY VALUE");
}

TEST_F(ConfigFiles, SyntaxErrorsHaveAPlace) {
  EXPECT_THAT(error("SOLVER: {LR: 1\nMODEL: [\n"), StartsWith("a.yaml:2:6: not valid YAML: "));
}

TEST_F(ConfigFiles, MissingFileAndDirectoryAreNamed) {
  EXPECT_THAT(testing::config_error([&] { load_config((dir_ / "no.yaml").string()); }),
              HasSubstr("no.yaml: cannot read the file: No such file or directory"));
  EXPECT_THAT(testing::config_error([&] { load_config(dir_.string()); }),
              StartsWith(dir_.string()));
}

TEST_F(ConfigFiles, LaterBasesThenTheFileThenOverridesWin) {
  write("base1.yaml", "SOLVER: {LR: 0.5, LR_STEPS: [1, 2], MAX_ITER: 9, GAMMA: 0.9}\nSEED: 1\n");
  write("base2.yaml", "SOLVER: {LR: 0.25}\nSEED: 2\n");
  const auto file =
      write("leaf.yaml", "_BASE_: [base1.yaml, base2.yaml]\nSOLVER: {LR_STEPS: [7]}\n");
  const auto loaded = load_config(file, {"SOLVER.GAMMA", "0.125"});
  EXPECT_EQ(loaded.config.solver.lr, 0.25);
  EXPECT_EQ(loaded.config.seed, 2);
  EXPECT_THAT(loaded.config.solver.lr_steps, ElementsAre(7));
  EXPECT_EQ(loaded.config.solver.max_iter, 9);
  EXPECT_EQ(loaded.config.solver.gamma, 0.125);
  EXPECT_EQ(without_folder(loaded.origins.at("SOLVER.LR")), "base2.yaml:1:14");
  EXPECT_EQ(loaded.origins.at("SOLVER.GAMMA"), "command line");
  EXPECT_EQ(loaded.origins.at("SOLVER.MOMENTUM"), "default");
}

TEST_F(ConfigFiles, BasesInACircleAreShownAsAChain) {
  write("d.yaml", "_BASE_: c.yaml\n");
  const auto file = write("c.yaml", "_BASE_: d.yaml\n");
  EXPECT_EQ(without_folder(testing::config_error([&] { load_config(file); })),
            "d.yaml:1:9: _BASE_ goes in a circle: c.yaml -> d.yaml -> c.yaml");
}

TEST_F(ConfigFiles, MissingBaseIsNamedWhereItIsAskedFor) {
  EXPECT_EQ(error("_BASE_: nope.yaml\n"),
            "a.yaml:1:9: _BASE_: nope.yaml: cannot read the file: No such file or directory");
}

TEST_F(ConfigFiles, MapsOfTheUsersOwnNamesAreRead) {
  const auto file = write("a.yaml",
                          "DATASETS:\n  DEFINE:\n    cells: {FORMAT: voc, ROOT: x, SPLIT: train, "
                          "CLASSES: [A, b]}\nTEST: {EXPECTED_RESULTS: {mAP: 0.5}}\n"
                          "QUANTIZATION: {OPTIONS: {RESCALE_OUTPUT: true}}\n");
  const auto config = load_config(file, {"DATASETS.DEFINE.cells.ROOT", "y"}).config;
  EXPECT_EQ(config.datasets.define.at("cells").root, "y");
  EXPECT_THAT(config.datasets.define.at("cells").classes, ElementsAre("A", "b"));
  EXPECT_EQ(config.test.expected_results.at("mAP"), 0.5);
  EXPECT_EQ(config.quantization.options.at("RESCALE_OUTPUT"), "true");
}

TEST_F(ConfigFiles, AliasesThatMultiplyAreRefused) {
  std::string bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (char c = 'b'; c <= 'j'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) {
      bomb += std::string(i > 0 ? ", *" : "*") + static_cast<char>(c - 1);
    }
    bomb += "]\n";
  }
  EXPECT_THAT(error(bomb), HasSubstr("a.yaml"));
}

TEST_F(ConfigFiles, RulesKeepTheirOrderAndWhatTheyLeaveOut) {
  const auto file = write("a.yaml",
                          "QUANTIZATION:\n  POLICY:\n"
                          "    - {MATCH: depthwise, WBITS: 8, TYPE: IAO, OPTIONS: {OBSERVER: kl}}\n"
                          "    - MATCH: head.cls.*\n      SKIP: No\n");
  const auto rules = load_config(file).config.quantization.policy;
  const QuantizationRule first{"depthwise", 8, {}, "iao", Options{{"OBSERVER", "kl"}}, {}};
  const QuantizationRule second{"head.cls.*", {}, {}, {}, {}, false};
  EXPECT_THAT(rules, ElementsAre(first, second));
}

TEST_F(ConfigFiles, RulesOfTheCommandLineReplaceThoseOfTheFile) {
  const auto file = write("a.yaml", "QUANTIZATION: {POLICY: [{MATCH: a, WBITS: 2}, {MATCH: b}]}\n");
  const auto loaded =
      load_config(file, {"QUANTIZATION.POLICY", "[{MATCH: \"head.*\", SKIP: true}]"});
  const QuantizationRule rule{"head.*", {}, {}, {}, {}, true};
  EXPECT_THAT(loaded.config.quantization.policy, ElementsAre(rule));
  EXPECT_EQ(loaded.origins.count("QUANTIZATION.POLICY[0].WBITS"), 0U);
  EXPECT_EQ(loaded.origins.at("QUANTIZATION.POLICY[0].SKIP"), "command line");
}

TEST_F(ConfigFiles, MistakesInRulesHaveTheirPlaces) {
  EXPECT_EQ(error("QUANTIZATION:\n  POLICY:\n    - {MATCH: a, WBIT: 8}\n    - {WBITS: 8}\n"
                  "    - {MATCH: a, ABITS: 33}\n    - {MATCH: a, SKIP: maybe}\n    - head.*\n"
                  "    - {MATCH: a, OPTIONS: fast}\n    - {MATCH: a, MATCH: b}\n"),
            "a.yaml:3:18: unknown key QUANTIZATION.POLICY[0].WBIT; did you mean 'WBITS'? (known: "
            "MATCH, WBITS, ABITS, TYPE, OPTIONS, SKIP)\n"
            "a.yaml:4:7: QUANTIZATION.POLICY[1] has no MATCH; expected node names, such as "
            "head.cls.*, or a kind, such as depthwise\n"
            "a.yaml:5:25: QUANTIZATION.POLICY[2].ABITS must be in 1..32, got 33\n"
            "a.yaml:6:24: QUANTIZATION.POLICY[3].SKIP: expected true or false, got 'maybe'\n"
            "a.yaml:7:7: QUANTIZATION.POLICY[4]: expected a rule, {MATCH: ..., WBITS: ...}, got "
            "head.*\n"
            "a.yaml:8:27: QUANTIZATION.POLICY[5].OPTIONS: expected a map, {name: value, ...}, got "
            "'fast'\n"
            "a.yaml:9:18: QUANTIZATION.POLICY[6].MATCH is set twice in this file, first in line 9");
  EXPECT_EQ(error("QUANTIZATION: {POLICY: {MATCH: a}}\n"),
            "a.yaml:1:24: QUANTIZATION.POLICY: expected a list of rules, [{MATCH: ..., WBITS: "
            "...}], got {MATCH: a}; put it into [...]");
  EXPECT_EQ(error("", {"QUANTIZATION.POLICY.WBITS", "8"}),
            "command line: unknown key QUANTIZATION.POLICY.WBITS; QUANTIZATION.POLICY is a value, "
            "not a section");
}

TEST_F(ConfigFiles, FinalIsABooleanOrOneOfTheHeads) {
  const auto read = [](const std::string& value) {
    return load_config("", {"QUANTIZATION.FINAL", value}).config.quantization.final_layer;
  };
  for (const char* value : {"True", "yes", "ON", "true"}) EXPECT_EQ(read(value), "true") << value;
  for (const char* value : {"False", "no", "Off"}) EXPECT_EQ(read(value), "false") << value;
  EXPECT_EQ(read("CLS"), "cls");
  EXPECT_EQ(read("box"), "box");
  EXPECT_EQ(error("QUANTIZATION: {FINAL: class}\n"),
            "a.yaml:1:23: QUANTIZATION.FINAL must be one of false, true, cls, box, got 'class'");
}

TEST_F(ConfigFiles, ProgressiveWidthsAreRowsOfThree) {
  const auto read = load_config("", {"QUANTIZATION.PROGRESSIVE", "((0, 16, 16), (5000, 8, 4))"});
  EXPECT_THAT(read.config.quantization.progressive,
              ElementsAre(WidthStage{0, 16, 16}, WidthStage{5000, 8, 4}));
  EXPECT_EQ(error("QUANTIZATION: {PROGRESSIVE: [[0, 8], 7, [-1, 0, 8.0]]}\n"),
            "a.yaml:1:30: QUANTIZATION.PROGRESSIVE[0]: expected [iteration, wbits, abits], got the "
            "list [0, 8]\n"
            "a.yaml:1:38: QUANTIZATION.PROGRESSIVE[1]: expected [iteration, wbits, abits], got "
            "'7'\n"
            "a.yaml:1:42: QUANTIZATION.PROGRESSIVE[2][0] must be at least 0, got -1\n"
            "a.yaml:1:46: QUANTIZATION.PROGRESSIVE[2][1] must be in 1..32, got 0\n"
            "a.yaml:1:49: QUANTIZATION.PROGRESSIVE[2][2]: expected an integer, 8, got '8.0'");
  EXPECT_EQ(error("QUANTIZATION: {PROGRESSIVE: 7}\n"),
            "a.yaml:1:29: QUANTIZATION.PROGRESSIVE: expected a list, each [iteration, wbits, "
            "abits], got '7'; write [7]");
}

TEST_F(ConfigFiles, IterationsThatNeverComeAreMinusOne) {
  EXPECT_EQ(load_config("", {"QUANTIZATION.STOP_OBSERVING_ITER", "-1"})
                .config.quantization.stop_observing_iter,
            -1);
  EXPECT_EQ(error("QUANTIZATION: {FREEZE_BN_ITER: -2}\n"),
            "a.yaml:1:32: QUANTIZATION.FREEZE_BN_ITER must be -1 or at least 0, got -2");
}

TEST(ParseConfig, RefusesABase) {
  EXPECT_THAT(testing::config_error([] { parse_config("_BASE_: a.yaml\n", "checkpoint"); }),
              HasSubstr("checkpoint:1:"));
}

}  // namespace
}  // namespace ssdq
