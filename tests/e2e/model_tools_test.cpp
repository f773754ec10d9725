#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "process.h"
#include "shapes_dataset.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

class ModelTools : public ShapesTest {
 protected:
  std::string expect(int status, const std::string& tool, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--config-file", config()});
    const auto result = run_tool(tool, arguments);
    EXPECT_EQ(result.status, status) << tool << ": " << result.output;
    return result.output;
  }

  bool written(const std::string& name) const {
    return std::filesystem::exists(output(name)) && std::filesystem::file_size(output(name)) > 0;
  }
};

TEST_F(ModelTools, AnchorsMeasureSuggestAndPlot) {
  const std::string text = expect(0, "anchors", {"--plot", output("anchors.png")});
  EXPECT_THAT(text, HasSubstr("shapes_train: "));
  EXPECT_THAT(text, HasSubstr("6 x 6 locations"));
  EXPECT_TRUE(written("anchors.png"));
  const auto json = nlohmann::json::parse(
      expect(0, "anchors", {"--json", "--split", "test", "--clusters", "3", "--seed", "5"}));
  EXPECT_EQ(json["dataset"], "shapes_test");
  EXPECT_EQ(json["clusters"]["centers"].size(), 3U);
  EXPECT_THAT(expect(2, "anchors", {"--clusters", "100000"}), HasSubstr("100000 clusters of "));
  EXPECT_THAT(expect(2, "anchors", {"DATASETS.TRAIN", "[]"}), HasSubstr("DATASETS.TRAIN is empty"));
}

TEST_F(ModelTools, AnalyzeNetCountsMeasuresAndCompares) {
  const auto plain = nlohmann::json::parse(expect(0, "analyze_net", {"--json", "--measure", "2"}));
  EXPECT_GT(plain["ms"].get<double>(), 0);
  const auto both =
      nlohmann::json::parse(expect(0, "analyze_net",
                                   {"--json", "--compare", config(), "QUANTIZATION.TYPE", "uniform",
                                    "QUANTIZATION.WBITS", "4", "QUANTIZATION.ABITS", "4"}));
  EXPECT_EQ(both["before"]["params"], plain["params"]);
  EXPECT_EQ(both["after"]["macs"], plain["macs"]);
  EXPECT_LT(both["after"]["bops"].get<double>(), both["before"]["bops"].get<double>());
  EXPECT_THAT(expect(0, "analyze_net", {"--markdown"}), HasSubstr("\n| node "));
  EXPECT_THAT(expect(2, "analyze_net", {"--json", "--markdown"}), HasSubstr("one of them"));
}

TEST_F(ModelTools, PrintModelDrawsTheGraph) {
  const std::string tree = expect(0, "print_model", {"--svg", output("model.svg")});
  EXPECT_THAT(tree, HasSubstr("\nbackbone "));
  EXPECT_THAT(tree, HasSubstr("level 1"));
  EXPECT_TRUE(written("model.svg"));
  EXPECT_THAT(expect(2, "print_model", {"--histograms", output("h")}), HasSubstr("--weights"));
}

TEST_F(ModelTools, PrintModelDrawsHistogramsOfACheckpoint) {
  expect(0, "train_net", {"SOLVER.MAX_ITER", "2", "SOLVER.LR_STEPS", "[1]"});
  const std::string text =
      expect(0, "print_model",
             {"--histograms", output("h"), "--weights", output("out/model_final.safetensors"),
              "--images", "2", "QUANTIZATION.TYPE", "lsq", "QUANTIZATION.WBITS", "4",
              "QUANTIZATION.ABITS", "4", "QUANTIZATION.CALIBRATION_BATCHES", "1"});
  EXPECT_THAT(text, HasSubstr("3 weights"));
  EXPECT_TRUE(written("h/backbone.1.weight.png")) << text;
  EXPECT_TRUE(written("h/backbone.1.input.png")) << text;
}

}  // namespace
}  // namespace ssdq::testing
