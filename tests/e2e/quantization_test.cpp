#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.h"
#include "shapes_dataset.h"

namespace ssdq::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Quantization : public ShapesTest {
 protected:
  ProcessResult train_net(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--config-file", config(), "OUTPUT_DIR", output("run"),
                                         "SOLVER.MAX_ITER", "4"});
    return run_tool("train_net", arguments);
  }

  void expect_usage(const std::string& sentence, const std::vector<std::string>& arguments) {
    const ProcessResult result = train_net(arguments);
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr(sentence));
  }
};

TEST_F(Quantization, PrintsHowEachLayerIsQuantizedAndWhatStaysInFloat) {
  const auto fresh =
      train_net({"--print-quantization", "QUANTIZATION.TYPE", "lsq", "QUANTIZATION.WBITS", "4",
                 "QUANTIZATION.ABITS", "8", "QUANTIZATION.FINAL", "box"});
  EXPECT_EQ(fresh.status, 0) << fresh.output;
  EXPECT_THAT(fresh.output, AllOf(HasSubstr("weight codes"), HasSubstr("learned step"),
                                  HasSubstr("head.cls.0"), HasSubstr("float: prediction head")));
}

TEST_F(Quantization, TrainsEvaluatesAndShowsTheRangesOfTheResult) {
  const std::vector<std::string> lsq = {"QUANTIZATION.TYPE",  "LSQ", "QUANTIZATION.WBITS",      "4",
                                        "QUANTIZATION.ABITS", "4",   "QUANTIZATION.START_ITER", "2",
                                        "TEST.BN_FUSE",       "true"};
  const auto trained = train_net(lsq);
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_THAT(trained.output, AllOf(HasSubstr("quantizers set from"),
                                    HasSubstr("iteration 2: quantization starts")));
  auto again = lsq;
  again.insert(again.end(), {"--print-quantization", "MODEL.WEIGHTS",
                             output("run") + "/model_final.safetensors"});
  const auto table = train_net(again);
  EXPECT_EQ(table.status, 0) << table.output;
  EXPECT_THAT(table.output, ::testing::Not(HasSubstr("?")));
}

TEST_F(Quantization, MistakesAreOneSentence) {
  expect_usage("lsq quantizes weights to 2..16 bits (32 leaves them in float), got 1",
               {"QUANTIZATION.TYPE", "lsq", "QUANTIZATION.WBITS", "1"});
  expect_usage("WBITS of bwn counts levels: 2 (binary), 3 (ternary)",
               {"QUANTIZATION.TYPE", "bwn", "QUANTIZATION.WBITS", "4"});
  expect_usage("QUANTIZATION.OPTIONS: unknown key 'GRADIENT_SCAL' of lsq; did you mean",
               {"QUANTIZATION.TYPE", "lsq", "QUANTIZATION.OPTIONS", "{GRADIENT_SCAL: false}"});
  expect_usage("QUANTIZATION.PROGRESSIVE",
               {"QUANTIZATION.TYPE", "lsq", "QUANTIZATION.WBITS", "4", "QUANTIZATION.ABITS", "4",
                "QUANTIZATION.PROGRESSIVE", "[[0, 8, 8]]"});
  expect_usage("backbon.0", {"QUANTIZATION.TYPE", "lsq", "QUANTIZATION.POLICY",
                             "[{MATCH: backbon.0, SKIP: true}]"});
  expect_usage("add FOLD: two_pass", {"QUANTIZATION.TYPE", "iao", "QUANTIZATION.OPTIONS",
                                      "{SYMMETRIC: false, FOLD: one_pass}"});
}

TEST_F(Quantization, AMethodFromOutsideTrains) {
  const auto result =
      run_tool("log2_train",
               {config(), "OUTPUT_DIR", output("log2"), "SOLVER.MAX_ITER", "4", "QUANTIZATION.TYPE",
                "log2", "QUANTIZATION.WBITS", "4", "QUANTIZATION.ABITS", "8"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(std::filesystem::exists(output("log2") + "/model_final.safetensors"));
}

}  // namespace
}  // namespace ssdq::testing
