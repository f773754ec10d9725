#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "process.h"
#include "shapes_dataset.h"

namespace ssdq::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PruneNet : public ShapesTest {
 protected:
  // Four steps of training, sparsity included.
  std::string trained(std::vector<std::string> overrides = {}) {
    std::vector<std::string> arguments = {
        "--config-file",   config(), "OUTPUT_DIR", output("sparse"),
        "SOLVER.MAX_ITER", "4",      "PRUNE.TYPE", "normal",
        "PRUNE.SR",        "0.01"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    const auto result = run_tool("train_net", arguments);
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("sparsity training: 4 batch norms"));
    return output("sparse") + "/model_final.safetensors";
  }

  ProcessResult prune(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--config-file", config(), "--output", output("small")});
    return run_tool("prune_net", arguments);
  }

  nlohmann::json report() const {
    std::ifstream file(output("small") + "/report.json");
    return nlohmann::json::parse(file);
  }

  void expect_mistake(int status, const std::string& sentence,
                      const std::vector<std::string>& arguments) {
    const auto result = prune(arguments);
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(sentence));
    EXPECT_FALSE(std::filesystem::exists(output("small")));
  }
};

TEST_F(PruneNet, WritesADetectorThatTrainsAndEvaluatesAsItIs) {
  const auto weights = trained();
  {
    std::ifstream metrics(output("sparse") + "/metrics.jsonl");
    std::string line;
    std::getline(metrics, line);
    EXPECT_THAT(line, HasSubstr("sparsity/below"));
  }
  const auto pruned = prune({"--weights", weights, "--percent", "0.5"});
  ASSERT_EQ(pruned.status, 0) << pruned.output;
  EXPECT_THAT(pruned.output, AllOf(HasSubstr("parameters (M)"), HasSubstr("compensated"),
                                   HasSubstr("shapes_pruned.yaml")));
  const auto facts = report();
  EXPECT_LT(facts["check"]["difference"].get<double>(), 1e-4);
  EXPECT_TRUE(facts["check"]["real_images"].get<bool>());
  int kept = 0, of = 0;
  for (const auto& layer : facts["layers"]) {
    if (layer["name"].get<std::string>().find("backbone") == 0) {
      kept += layer["kept"].get<int>();
      of += layer["of"].get<int>();
    }
  }
  EXPECT_EQ(of, 56);
  EXPECT_GE(kept, 28);
  EXPECT_LE(kept, 30);  // a layer keeps at least one
  EXPECT_EQ(facts["metrics"].size(), 4U);
  EXPECT_EQ(facts["metrics"][2]["metrics"], facts["metrics"][3]["metrics"]);

  const std::string yaml = output("small") + "/shapes_pruned.yaml";
  const auto evaluated = run_tool("train_net", {"--config-file", yaml, "--eval-only"});
  EXPECT_EQ(evaluated.status, 0) << evaluated.output;
  EXPECT_THAT(evaluated.output, HasSubstr("shapes_pruned.safetensors"));
  const auto tuned = run_tool("train_net", {"--config-file", yaml, "SOLVER.MAX_ITER", "2"});
  EXPECT_EQ(tuned.status, 0) << tuned.output;
  EXPECT_TRUE(std::filesystem::exists(output("small") + "/train/model_final.safetensors"));

  const auto again = prune({"--weights", weights, "--percent", "0.5"});
  EXPECT_EQ(again.status, 2) << again.output;
  EXPECT_THAT(again.output, HasSubstr("add --force"));
  const auto nothing = prune({"--weights", weights, "--percent", "0", "--force"});
  EXPECT_EQ(nothing.status, 0) << nothing.output;
  EXPECT_EQ(report()["before"], report()["after"]);
}

TEST_F(PruneNet, PrunesQuantizedDetectors) {
  const std::vector<std::string> lsq = {"QUANTIZATION.TYPE",  "lsq", "QUANTIZATION.WBITS", "8",
                                        "QUANTIZATION.ABITS", "8"};
  const auto weights = trained(lsq);
  auto arguments = lsq;
  arguments.insert(arguments.begin(),
                   {"--weights", weights, "--percent", "0.4", "--regular", "1", "--multiple", "4"});
  const auto pruned = prune(arguments);
  ASSERT_EQ(pruned.status, 0) << pruned.output;
  const auto facts = report();
  EXPECT_TRUE(facts["check"].contains("quantized_difference"));
  for (const auto& layer : facts["layers"]) {
    if (layer["kept"] != layer["of"]) {
      EXPECT_EQ(layer["kept"].get<int>() % 4, 0) << layer;
    }
  }
}

TEST_F(PruneNet, QuickEvaluatesMasksAndWritesNothing) {
  const auto result = prune({"--weights", trained(), "--percent", "0.999", "--quick", "1"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("masked"), HasSubstr("compensated")));
  EXPECT_FALSE(std::filesystem::exists(output("small")));
}

TEST_F(PruneNet, MistakesAreOneSentence) {
  std::ofstream(dir / "plain.cfg")
      << "[convolutional]\nfilters=8\nsize=3\nstride=8\npad=1\nactivation=relu\nfeature=linear\n"
         "feature_idx=0\n[convolutional]\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=relu\n"
         "feature=linear\nfeature_idx=1\n";
  const std::vector<std::string> plain = {"MODEL.BACKBONE.CFG", output("plain.cfg"), "OUTPUT_DIR",
                                          output("plain"),      "SOLVER.MAX_ITER",   "1"};
  auto train = plain;
  train.insert(train.begin(), {"--config-file", config()});
  ASSERT_EQ(run_tool("train_net", train).status, 0);
  const std::string weights = output("plain") + "/model_final.safetensors";
  expect_mistake(2, "--percent is 1.5; expected at least 0 and less than 1",
                 {"--weights", weights, "--percent", "1.5"});
  expect_mistake(2, "--percent is missing", {"--weights", weights});
  expect_mistake(2, "no weights; expected --weights FILE", {"--percent", "0.5"});
  expect_mistake(2, "missing.safetensors",
                 {"--weights", "missing.safetensors", "--percent", "0.5"});
  expect_mistake(2, "unknown scope of pruning 'everything'",
                 {"--weights", weights, "--percent", "0.5", "--scope", "everything"});
  auto bn = plain;
  bn.insert(bn.begin(), {"--weights", weights, "--percent", "0.5"});
  expect_mistake(2, "no convolution in scope has a batch norm; use l1 or l2", bn);
  train.insert(train.end(), {"PRUNE.TYPE", "normal"});
  const auto sparse = run_tool("train_net", train);
  EXPECT_EQ(sparse.status, 2) << sparse.output;
  EXPECT_THAT(sparse.output, HasSubstr("no batch norm of the network is in its scope"));
  bn.insert(bn.begin(), {"--importance", "l2"});
  EXPECT_EQ(prune(bn).status, 0);
}

}  // namespace
}  // namespace ssdq::testing
