#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "process.h"
#include "shapes_dataset.h"
#include "ssdq/checkpoint/checkpoint.h"

namespace ssdq::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PruneNet : public ShapesTest {
 protected:
  // Four steps of training, sparsity included.
  std::string trained(std::vector<std::string> overrides = {}) {
    std::vector<std::string> arguments = {
        "--config-file", config(), "OUTPUT_DIR", output("sparse"), "SOLVER.MAX_ITER",          "4",
        "PRUNE.TYPE",    "normal", "PRUNE.SR",   "0.01",           "SOLVER.CHECKPOINT_PERIOD", "0"};
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
    EXPECT_THAT(line, HasSubstr("sparsity/near_zero"));
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
  for (const char* count : {"channels", "params", "macs", "weight_bytes"}) {
    EXPECT_EQ(report()["before"][count], report()["after"][count]) << count;
  }
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

TEST_F(PruneNet, MeetsTargetsOfFlopsAndParameters) {
  const auto weights = trained();
  const auto flops = prune({"--weights", weights, "--flops", "0.6"});
  ASSERT_EQ(flops.status, 0) << flops.output;
  const double before = report()["before"]["macs"], after = report()["after"]["macs"];
  EXPECT_NEAR(after / before, 0.6, 0.012);
  const double wanted = std::round(0.7 * report()["before"]["params"].get<double>());
  const auto params = prune({"--weights", weights, "--params", std::to_string(wanted), "--force"});
  ASSERT_EQ(params.status, 0) << params.output;
  EXPECT_NEAR(report()["after"]["params"].get<double>() / wanted, 1, 0.02);
  std::filesystem::remove_all(output("small"));
  expect_mistake(2, "10 parameters cannot be met within 2 %: the nearest",
                 {"--weights", weights, "--params", "10"});
}

TEST_F(PruneNet, SearchesForALatency) {
  // Any time above the whole network's is met by the whole network alone, so it is refused.
  expect_mistake(2, "100000 milliseconds cannot be met",
                 {"--weights", trained(), "--latency-ms", "1e5"});
}

TEST_F(PruneNet, ExactCompensationAndTaylorScoresGoThroughTheWholeTool) {
  const auto weights = trained();
  const auto pruned = prune({"--weights", weights, "--percent", "0.5", "--compensation", "exact",
                             "--importance", "taylor", "--score-batches", "2", "--bn-batches", "2",
                             "--regular", "1", "--multiple", "4"});
  ASSERT_EQ(pruned.status, 0) << pruned.output;
  const auto facts = report();
  EXPECT_GT(facts["merged_channels"].get<int>(), 0);
  EXPECT_EQ(facts["importance"], "taylor");
  EXPECT_EQ(facts["metrics"].back()["network"], "re-estimated");
  for (const auto& residual : facts["residuals"]) {
    EXPECT_LT(residual["largest"].get<double>(), 1e-5);
  }
  EXPECT_TRUE(std::filesystem::exists(output("small") + "/kept_channels.png"));
  const auto files = std::distance(std::filesystem::directory_iterator(output("small")), {});
  EXPECT_EQ(files, 6);  // no trace of the check
}

TEST_F(PruneNet, ReadsItsFilesInAnotherProcess) {
  const auto pruned = prune({"--weights", trained(), "--percent", "0.3"});
  ASSERT_EQ(pruned.status, 0) << pruned.output;
  const auto missing =
      run_tool("prune_net", {"--verify", output("small") + "/shapes_pruned.yaml",
                             output("small") + "/shapes_pruned.safetensors", "nothing.expected"});
  EXPECT_EQ(missing.status, 1) << missing.output;
  EXPECT_THAT(missing.output, HasSubstr("nothing.expected"));
}

TEST_F(PruneNet, DropsLevelsThatCarryNothing) {
  // The second level's only layer has the smallest scales by far.
  const auto weights = trained();
  Checkpoint checkpoint = load_checkpoint(weights);
  for (auto& [name, tensor] : checkpoint.model) {
    if (name == "backbone.3.bn.weight") tensor.fill_(1e-6);
  }
  checkpoint.ema.clear();
  const std::string flat = output("flat.safetensors");
  save_checkpoint(flat, checkpoint);
  const auto pruned = prune({"--weights", flat, "--percent", "0.4", "--max", "1"});
  ASSERT_EQ(pruned.status, 0) << pruned.output;
  EXPECT_EQ(report()["levels_before"], 2);
  EXPECT_EQ(report()["levels_after"], 1);
  const auto tuned =
      run_tool("train_net",
               {"--config-file", output("small") + "/shapes_pruned.yaml", "SOLVER.MAX_ITER", "2"});
  EXPECT_EQ(tuned.status, 0) << tuned.output;
}

TEST_F(PruneNet, RemovesTheShareThatIsAskedForWhereScoresAreEqual) {
  Checkpoint checkpoint = load_checkpoint(trained());
  for (auto& [name, tensor] : checkpoint.model) {
    if (name.find("bn.weight") != std::string::npos) tensor.zero_();
  }
  checkpoint.ema.clear();
  const std::string flat = output("flat.safetensors");
  save_checkpoint(flat, checkpoint);
  const auto pruned = prune({"--weights", flat, "--percent", "0.5"});
  ASSERT_EQ(pruned.status, 0) << pruned.output;
  const int64_t before = report()["before"]["channels"], after = report()["after"]["channels"];
  EXPECT_GE(before - after, 26);  // of 56 in scope, each layer keeps one
}

TEST_F(PruneNet, RefusesNetworksWithNumbersThatAreNone) {
  Checkpoint checkpoint = load_checkpoint(trained());
  for (auto& [name, tensor] : checkpoint.model) {
    if (name == "head.box.0.bias") tensor.fill_(std::nan(""));
  }
  checkpoint.ema.clear();
  const std::string broken = output("broken.safetensors");
  save_checkpoint(broken, checkpoint);
  const auto pruned = prune({"--weights", broken, "--percent", "0.5"});
  EXPECT_EQ(pruned.status, 1) << pruned.output;
  EXPECT_FALSE(std::filesystem::exists(output("small") + "/shapes_pruned.yaml"));
}

TEST_F(PruneNet, SweepsOverPercentages) {
  const auto swept = prune({"--weights", trained(), "--sweep", "0.2,0.6"});
  ASSERT_EQ(swept.status, 0) << swept.output;
  std::ifstream file(output("small") + "/sweep.json");
  const auto facts = nlohmann::json::parse(file);
  ASSERT_EQ(facts["rows"].size(), 2U);
  EXPECT_GT(facts["rows"][0]["macs"].get<int64_t>(), facts["rows"][1]["macs"].get<int64_t>());
  EXPECT_TRUE(std::filesystem::exists(output("small") + "/sweep.png"));
  EXPECT_FALSE(std::filesystem::exists(output("small") + "/shapes_pruned.yaml"));
}

TEST_F(PruneNet, ZeroesSingleWeights) {
  const auto sparse = prune({"--weights", trained(), "--importance", "magnitude", "--granularity",
                             "weight", "--amount", "0.5"});
  ASSERT_EQ(sparse.status, 0) << sparse.output;
  const auto evaluated = run_tool(
      "train_net", {"--config-file", output("small") + "/shapes_sparse.yaml", "--eval-only"});
  EXPECT_EQ(evaluated.status, 0) << evaluated.output;
}

class PruneEveryQuantizer : public PruneNet, public ::testing::WithParamInterface<std::string> {};

// Sparse training with quantizers, then pruning; and pruning, then training with quantizers.
TEST_P(PruneEveryQuantizer, InBothOrders) {
  const bool binary = GetParam() == "bwn";
  const std::vector<std::string> quantized = {"QUANTIZATION.TYPE",  GetParam(),
                                              "QUANTIZATION.WBITS", binary ? "2" : "8",
                                              "QUANTIZATION.ABITS", binary ? "32" : "8"};
  const auto weights = trained(quantized);
  auto arguments = quantized;
  arguments.insert(arguments.begin(), {"--weights", weights, "--percent", "0.4"});
  const auto pruned = prune(arguments);
  ASSERT_EQ(pruned.status, 0) << pruned.output;
  EXPECT_LT(report()["check"]["difference"].get<double>(), 1e-4);
  const auto tuned =
      run_tool("train_net",
               {"--config-file", output("small") + "/shapes_pruned.yaml", "SOLVER.MAX_ITER", "2"});
  EXPECT_EQ(tuned.status, 0) << tuned.output;

  const auto floats = prune({"--weights", trained(), "--percent", "0.4", "--force"});
  ASSERT_EQ(floats.status, 0) << floats.output;
  std::vector<std::string> train = {"--config-file", output("small") + "/shapes_pruned.yaml",
                                    "SOLVER.MAX_ITER", "2"};
  train.insert(train.end(), quantized.begin(), quantized.end());
  const auto trained_again = run_tool("train_net", train);
  EXPECT_EQ(trained_again.status, 0) << trained_again.output;
}

// At few bits a code more or less shows; the comparison without quantizers must not see it.
TEST_F(PruneNet, PrunesAtFourBits) {
  const std::vector<std::string> uniform = {
      "QUANTIZATION.TYPE", "uniform", "QUANTIZATION.WBITS", "4", "QUANTIZATION.ABITS", "4"};
  auto arguments = uniform;
  arguments.insert(arguments.begin(), {"--weights", trained(uniform), "--percent", "0.4"});
  const auto pruned = prune(arguments);
  EXPECT_EQ(pruned.status, 0) << pruned.output;
}

INSTANTIATE_TEST_SUITE_P(All, PruneEveryQuantizer,
                         ::testing::Values("dorefa", "iao", "bwn", "uniform", "pact", "lsq",
                                           "lsq_plus", "tqt", "lqnet"),
                         [](const auto& test) { return test.param; });

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
  expect_mistake(2, "0 of --percent, --flops, --params, --latency-ms and --sweep are given",
                 {"--weights", weights});
  expect_mistake(2, "2 of --percent, --flops",
                 {"--weights", weights, "--percent", "0.5", "--flops", "0.5"});
  expect_mistake(2, "--compensation must be none, constant or exact, got 'all'",
                 {"--weights", weights, "--percent", "0.5", "--compensation", "all"});
  expect_mistake(2, "--sweep: 'half' is not a number",
                 {"--weights", weights, "--sweep", "0.1,half"});
  expect_mistake(2, "--granularity weight and --importance magnitude go together",
                 {"--weights", weights, "--granularity", "weight", "--amount", "0.5"});
  expect_mistake(2, "--quick does nothing with --sweep",
                 {"--weights", weights, "--sweep", "0.1", "--quick", "1"});
  std::ofstream(output("file")) << "x";
  const auto into_file = run_tool("prune_net", {"--config-file", config(), "--weights", weights,
                                                "--percent", "0.5", "--output", output("file/x")});
  EXPECT_EQ(into_file.status, 2) << into_file.output;
  EXPECT_THAT(into_file.output, HasSubstr("is a file; expected a folder"));
  expect_mistake(2, "--multiple does nothing without --regular 1",
                 {"--weights", weights, "--percent", "0.5", "--multiple", "4"});
  expect_mistake(2, "gamma", {"--weights", weights, "--percent", "0.5", "--importance", "gamma"});
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
