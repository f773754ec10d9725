#include <signal.h>

#include <chrono>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.h"
#include "run_files.h"
#include "shapes_dataset.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using TrainNet = ShapesTest;

bool wait_for_file(const fs::path& path) {
  for (int tries = 0; tries < 30000 && !fs::exists(path); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return fs::exists(path);
}

TEST_F(TrainNet, ResumesAfterAKillToTheSameBits) {
  const std::vector<std::string> common = {"--config-file", config(), "SOLVER.MAX_ITER", "20",
                                           "SOLVER.EMA", "0.9", "QUANTIZATION.TYPE", "lsq",
                                           "QUANTIZATION.WBITS", "4", "QUANTIZATION.ABITS", "4",
                                           // The kill falls between the two widths.
                                           "QUANTIZATION.PROGRESSIVE", "[[0, 8, 8], [15, 4, 4]]"};
  auto whole = common;
  whole.insert(whole.end(), {"OUTPUT_DIR", output("whole")});
  const auto result = run_tool("train_net", whole);
  ASSERT_EQ(result.status, 0) << result.output;

  auto cut = common;
  cut.insert(cut.end(), {"OUTPUT_DIR", output("cut")});
  const pid_t pid = start_tool("train_net", cut, output("log"));
  ASSERT_TRUE(wait_for_file(dir / "cut/model_0000010.safetensors")) << read(output("log"));
  kill(pid, SIGKILL);
  wait_for(pid);
  // Whether the kill came before or after the end, what is resumed is the checkpoint of
  // iteration 10.
  fs::remove(dir / "cut/model_final.safetensors");
  auto resume = cut;
  resume.insert(resume.begin(), "--resume");
  const auto resumed = run_tool("train_net", resume);
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("after 10 iterations"));
  expect_same_tensors(dir / "whole/model_final.safetensors", dir / "cut/model_final.safetensors");
}

TEST_F(TrainNet, NumberOfDataThreadsDoesNotChangeTheResult) {
  for (const char* threads : {"1", "2"}) {
    const auto result = run_tool(
        "train_net", {"--config-file", config(), "OUTPUT_DIR", output(std::string("t") + threads),
                      "NUM_THREADS", "1", "DATA_LOADER.NUM_WORKERS",
                      threads == std::string("1") ? "0" : "1", "SOLVER.MAX_ITER", "6"});
    ASSERT_EQ(result.status, 0) << result.output;
  }
  expect_same_tensors(dir / "t1/model_final.safetensors", dir / "t2/model_final.safetensors");
}

TEST_F(TrainNet, WritesItsRecords) {
  const auto result = run_tool("train_net", {"--config-file", config(), "SOLVER.MAX_ITER", "3"});
  ASSERT_EQ(result.status, 0) << result.output;
  for (const char* file :
       {"config.yaml", "network.cfg", "log.txt", "metrics.jsonl", "model_final.safetensors"}) {
    EXPECT_TRUE(fs::exists(dir / "out" / file)) << file;
  }
  const std::string metrics = read(dir / "out/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 3);
  EXPECT_THAT(metrics, HasSubstr("eval/mAP"));
  EXPECT_FALSE(fs::is_empty(dir / "out/tensorboard"));

  // The folder is enough to go on from, without the files that the run was started with.
  fs::remove(dir / "shapes.cfg");
  fs::remove(dir / "shapes.yaml");
  const auto again =
      run_tool("train_net", {"--config-file", output("out/config.yaml"), "--eval-only"});
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("evaluating " + output("out/model_final.safetensors")));
}

TEST_F(TrainNet, FoldedBatchNormMeasuresTheSame) {
  const std::vector<std::string> common = {
      "--config-file",      config(), "QUANTIZATION.TYPE",  "dorefa",
      "QUANTIZATION.WBITS", "8",      "QUANTIZATION.ABITS", "8"};
  auto train = common;
  train.insert(train.end(), {"SOLVER.MAX_ITER", "40", "SOLVER.LR", "0.05"});
  ASSERT_EQ(run_tool("train_net", train).status, 0);
  for (const char* fuse : {"false", "true"}) {
    auto evaluate = common;
    evaluate.insert(evaluate.begin(), "--eval-only");
    evaluate.insert(evaluate.end(), {"TEST.BN_FUSE", fuse});
    ASSERT_EQ(run_tool("train_net", evaluate).status, 0);
  }
  std::vector<double> values;
  std::ifstream metrics(dir / "out/metrics.jsonl");
  for (std::string line; std::getline(metrics, line);) {
    const auto at = line.find("\"eval/mAP\":");
    if (at != std::string::npos) {
      values.push_back(std::stod(line.substr(at + 11)));
    }
  }
  ASSERT_EQ(values.size(), 3U);
  EXPECT_EQ(values[0], values[1]);
  // Folding rounds differently in float, which may move a detection across a threshold.
  EXPECT_NEAR(values[1], values[2], 0.01);
}

TEST_F(TrainNet, SigtermWritesACheckpointFirst) {
  const pid_t pid = start_tool("train_net",
                               {"--config-file", config(), "SOLVER.MAX_ITER", "100000",
                                "SOLVER.CHECKPOINT_PERIOD", "100000"},
                               output("log"));
  ASSERT_TRUE(wait_for_file(dir / "out/metrics.jsonl")) << read(output("log"));
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for(pid), 130);
  EXPECT_THAT(read(output("log")), HasSubstr("--resume goes on from there"));
  bool found = false;
  for (const auto& entry : fs::directory_iterator(dir / "out")) {
    found = found || entry.path().filename().string().rfind("model_0", 0) == 0;
  }
  EXPECT_TRUE(found);
}

TEST_F(TrainNet, DryRunWritesNothing) {
  const auto result = run_tool("train_net", {"--config-file", config(), "--dry-run"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_FALSE(fs::exists(dir / "out"));
}

TEST_F(TrainNet, LearnsTheShapes) {
  const auto result = run_tool(
      "train_net",
      {"--config-file", config(), "SOLVER.MAX_ITER", "300", "SOLVER.LR_STEPS", "[200]", "SOLVER.LR",
       "0.05", "SOLVER.BATCH_SIZE", "8", "DATASETS.TEST", "[shapes_train]", "AUGMENTATION.EXPAND",
       "false", "AUGMENTATION.PHOTOMETRIC", "false", "TEST.EXPECTED_RESULTS", "{mAP: 0.5}"});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(TrainNet, MissedExpectationsExitWith3) {
  const auto result = run_tool("train_net", {"--config-file", config(), "SOLVER.MAX_ITER", "1",
                                             "TEST.EXPECTED_RESULTS", "{mAP: 1.1}"});
  EXPECT_EQ(result.status, 3) << result.output;
}

}  // namespace
}  // namespace ssdq::testing
