#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include "distributed_run.h"
#include "ssdq/distributed/sockets.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

using Strings = std::vector<std::string>;

Strings operator+(Strings left, const Strings& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// What each rank takes of a step of four images.
Strings share(int ranks) { return {"SOLVER.BATCH_SIZE", std::to_string(4 / ranks)}; }

Strings lines_with(const std::string& text, const std::string& part) {
  Strings found;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.find(part) != std::string::npos) {
      found.push_back(line);
    }
  }
  return found;
}

struct Setting {
  const char* name;
  std::vector<int> ranks;
  double tolerance;
  Strings overrides;
};

std::ostream& operator<<(std::ostream& stream, const Setting& setting) {
  return stream << setting.name;
}

class StepsOfRanks : public DistributedRun, public ::testing::WithParamInterface<Setting> {};

TEST_P(StepsOfRanks, AreThoseOfOneRankWithAllImages) {
  const Setting& setting = GetParam();
  const auto overrides = setting.overrides + Strings{"SOLVER.MAX_ITER", "6", "DATASETS.TEST", "[]"};
  if (setting.name == std::string("Teacher")) {
    train("teacher", 0, {"SOLVER.MAX_ITER", "2", "SEED", "1"});
  }
  train("one", 0, share(1) + overrides);
  for (const int ranks : setting.ranks) {
    const std::string name = "of" + std::to_string(ranks);
    train(name, ranks, share(ranks) + overrides);
    const auto difference = largest_difference(final_weights("one"), final_weights(name));
    EXPECT_LE(difference.relative, setting.tolerance) << ranks << " ranks: " << difference.tensor;
  }
}

// Sums over the images are rounded in another order. That shows most in the momentum of the first
// convolution, since its batch norm leaves little of large sums: 2e-5 after one step, 1e-4 after
// six (weights: 1e-5). A loss or a gradient with another divisor is off by percents. A quantizer
// turns a last bit into a whole code now and then.
constexpr double kRounding = 1e-3;
constexpr double kRoundingOfCodes = 1e-2;

INSTANTIATE_TEST_SUITE_P(
    Settings, StepsOfRanks,
    ::testing::Values(
        Setting{"FloatWithAverages", {2, 4}, kRounding, {"SOLVER.EMA", "0.9"}},
        Setting{"Lsq",
                {2},
                kRoundingOfCodes,
                {"QUANTIZATION.TYPE", "lsq", "QUANTIZATION.WBITS", "8", "QUANTIZATION.ABITS", "8"}},
        Setting{"Sparsity", {2}, kRounding, {"PRUNE.TYPE", "normal", "PRUNE.SR", "0.05"}},
        Setting{"Teacher",
                {2},
                kRounding,
                {"DISTILLATION.CONFIG_FILE", "teacher/config.yaml", "DISTILLATION.WEIGHTS",
                 "teacher/model_final.safetensors", "DISTILLATION.FEATURES", "1"}}),
    [](const auto& setting) { return std::string(setting.param.name); });

using TrainingOnRanks = DistributedRun;

TEST_F(TrainingOnRanks, EvaluatesLikeOneRank) {
  train("run", 3,
        {"SOLVER.MAX_ITER", "40", "SOLVER.LR", "0.05", "SOLVER.BATCH_SIZE", "2",
         "SOLVER.CHECKPOINT_PERIOD", "0"});
  const auto table = [&](int ranks) {
    const auto result = run_tool("train_net", arguments("run", ranks, {"--eval-only"}));
    EXPECT_EQ(result.status, 0) << result.output;
    const auto rows = lines_with(result.output, "| mAP");
    EXPECT_EQ(rows.size(), 1U) << result.output;
    return rows;
  };
  const auto expected = table(0);
  EXPECT_EQ(table(2), expected);
  EXPECT_EQ(table(3), expected);
  std::vector<double> values;
  for (const auto& line : lines_with(content("run/metrics.jsonl"), "\"eval/mAP\":")) {
    values.push_back(std::stod(line.substr(line.find("\"eval/mAP\":") + 11)));
  }
  // Of training on three ranks, then of one, two and three.
  ASSERT_EQ(values.size(), 4U);
  EXPECT_GT(values[0], 0);
  EXPECT_THAT(values, ::testing::Each(values[0]));
}

TEST_F(TrainingOnRanks, GivesTheSameBitsAgainAndGoesOnWithOtherRanks) {
  const Strings common{
      "SOLVER.MAX_ITER", "6",  "SOLVER.CHECKPOINT_PERIOD", "3", "DATASETS.TEST", "[]",
      "SOLVER.EMA",      "0.9"};
  train("one", 0, share(1) + common);
  train("two", 2, share(2) + common);
  train("again", 2, share(2) + common);
  EXPECT_TRUE(same_bits(final_weights("two"), final_weights("again")));

  fs::copy_file(final_weights("one"), output("whole.safetensors"));
  const auto go_on = [&](const std::string& name, int ranks) {
    fs::remove(final_weights(name));
    const auto result =
        train(name, ranks, Strings{"--resume"} + share(std::max(ranks, 1)) + common);
    EXPECT_THAT(result.output, HasSubstr("after 3 iterations"));
    return largest_difference(output("whole.safetensors"), final_weights(name)).relative;
  };
  EXPECT_LE(go_on("two", 0), kRounding);
  EXPECT_LE(go_on("one", 2), kRounding);
}

TEST_F(TrainingOnRanks, GoesOnWithOtherRanksWhereTheScheduleWouldBe) {
  const Strings keys{"SOLVER.REFERENCE_WORLD_SIZE",
                     "1",
                     "SOLVER.MAX_ITER",
                     "8",
                     "SOLVER.CHECKPOINT_PERIOD",
                     "4",
                     "DATASETS.TEST",
                     "[]",
                     "SOLVER.BATCH_SIZE",
                     "2",
                     "QUANTIZATION.PROGRESSIVE",
                     "[[0, 8, 8], [3, 4, 4]]"};
  const Strings widths{"QUANTIZATION.TYPE",  "uniform", "QUANTIZATION.WBITS", "4",
                       "QUANTIZATION.ABITS", "4"};
  train("run", 0, keys + widths);
  fs::remove(final_weights("run"));
  const auto two = train("run", 2, Strings{"--resume"} + keys + widths);
  EXPECT_THAT(two.output, HasSubstr("after 4 iterations, which count as 2"));
  EXPECT_THAT(two.output, HasSubstr("iter 4/4"));
  EXPECT_THAT(two.output, Not(HasSubstr("change their width")));
  EXPECT_EQ(lines_with(content("run/metrics.jsonl"), "{").size(), 4U);
}

TEST_F(TrainingOnRanks, WritesItsRecordsOnceAndFollowsTheReferenceWorldSize) {
  const auto result = train("run", 2,
                            {"SOLVER.MAX_ITER", "6", "SOLVER.WARMUP_ITERS", "2", "SOLVER.LR",
                             "0.01", "SOLVER.REFERENCE_WORLD_SIZE", "1"});
  EXPECT_THAT(result.output,
              HasSubstr("2 ranks, 8 images in a step, SOLVER.LR 0.02, 3 iterations"));
  EXPECT_THAT(result.output, Not(HasSubstr("rank 1:")));
  const auto log = content("run/log.txt");
  EXPECT_EQ(lines_with(log, "iter 3/3").size(), 1U) << log;
  EXPECT_EQ(lines_with(log, "| mAP").size(), 1U) << log;
  EXPECT_EQ(lines_with(content("run/metrics.jsonl"), "{").size(), 3U);
  const auto config = content("run/config.yaml");
  for (const char* line : {"LR: 0.02\n", "MAX_ITER: 3\n", "WARMUP_ITERS: 1\n",
                           "REFERENCE_WORLD_SIZE: 2\n", "BATCH_SIZE: 4\n"}) {
    EXPECT_THAT(config, HasSubstr(line));
  }
}

TEST_F(TrainingOnRanks, HalvesGradientsAndKeepsBatchStatisticsApartWhereAsked) {
  const auto common = share(2) + Strings{"SOLVER.MAX_ITER", "4", "DATASETS.TEST", "[]"};
  train("exact", 2, common);
  const auto differs = [&](const std::string& name, const Strings& keys) {
    train(name, 2, common + keys);
    return largest_difference(final_weights("exact"), final_weights(name)).relative;
  };
  const double halved = differs("halved", {"DISTRIBUTED.GRADIENT_DTYPE", "bfloat16"});
  EXPECT_GT(halved, 1e-6);
  EXPECT_LT(halved, 0.1);
  EXPECT_GT(differs("apart", {"DISTRIBUTED.SYNC_BN", "false"}), 1e-3);
}

TEST_F(TrainingOnRanks, StartsFromVariablesAsTorchrunSetsThem) {
  const auto common = share(2) + Strings{"SOLVER.MAX_ITER", "3", "DATASETS.TEST", "[]"};
  train("launched", 2, common);
  const auto port = std::to_string(find_free_port());
  std::vector<pid_t> ranks;
  for (const char* rank : {"0", "1"}) {
    const EnvironmentScope scope(Variables{{"RANK", rank},
                                           {"WORLD_SIZE", "2"},
                                           {"LOCAL_RANK", rank},
                                           {"LOCAL_WORLD_SIZE", "2"},
                                           {"MASTER_ADDR", "localhost"},
                                           {"MASTER_PORT", port}});
    ranks.push_back(start_tool("train_net", arguments("by_hand", 0, common),
                               output(std::string("log") + rank)));
  }
  for (const pid_t rank : ranks) {
    EXPECT_EQ(wait_for(rank), 0) << content("log0") << content("log1");
  }
  EXPECT_TRUE(same_bits(final_weights("launched"), final_weights("by_hand")));
}

class TrainingOnAGpu : public DistributedRun {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) {
      GTEST_SKIP() << "no CUDA device";
    }
    DistributedRun::SetUp();
  }

  const Strings steps_{"SOLVER.MAX_ITER", "3", "DATASETS.TEST", "[]"};
};

TEST_F(TrainingOnAGpu, TakesTheStepsOfTheCpu_CUDA) {
  constexpr double kOtherOrderOfSums = 1e-3;
  train("cpu", 0, steps_ + Strings{"MODEL.DEVICE", "cpu"});
  train("gpu", 0, steps_ + Strings{"MODEL.DEVICE", "cuda"});
  EXPECT_LE(largest_difference(final_weights("cpu"), final_weights("gpu")).relative,
            kOtherOrderOfSums);
}

TEST_F(TrainingOnAGpu, TakesTheSameStepsThroughNccl_CUDA) {
  constexpr double kOtherOrderOfSums = 1e-3;
  train("alone", 0, steps_ + Strings{"MODEL.DEVICE", "cuda"});
  train("group", 0, steps_ + Strings{"MODEL.DEVICE", "cuda", "DISTRIBUTED.BACKEND", "nccl"});
  EXPECT_LE(largest_difference(final_weights("alone"), final_weights("group")).relative,
            kOtherOrderOfSums);
}

TEST_F(TrainingOnAGpu, QuantizesInBfloat16EvaluatesAndGoesOn_CUDA) {
  const Strings keys{"MODEL.DEVICE",       "cuda",    "SOLVER.BF16",        "true",
                     "QUANTIZATION.TYPE",  "uniform", "QUANTIZATION.WBITS", "8",
                     "QUANTIZATION.ABITS", "8",       "SOLVER.EMA",         "0.9"};
  const auto first = train("run", 0, keys + Strings{"SOLVER.MAX_ITER", "4"});
  EXPECT_THAT(first.output, HasSubstr("| mAP"));
  const auto more = train("run", 0, Strings{"--resume"} + keys + Strings{"SOLVER.MAX_ITER", "6"});
  EXPECT_THAT(more.output, HasSubstr("iter 6/6"));
}

}  // namespace
}  // namespace ssdq::testing
