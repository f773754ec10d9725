#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.h"
#include "run_files.h"
#include "shapes_dataset.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using SparsityTraining = ShapesTest;

TEST_F(SparsityTraining, ReportsDrawsAndResumesToTheSameBits) {
  const auto train = [&](const std::string& penalty, bool resume) {
    std::vector<std::string> arguments = {
        "--config-file", config(), "OUTPUT_DIR", output("sparse"), "SOLVER.MAX_ITER", "6",
        "SOLVER.CHECKPOINT_PERIOD", "3", "SOLVER.EMA", "0.9", "TEST.EVAL_PERIOD", "4", "PRUNE.TYPE",
        "all", "PRUNE.SR", "0.05", "PRUNE.PENALTY", penalty, "PRUNE.SR_SCHEDULE", "cosine",
        "PRUNE.SR_WARMUP_ITERS", "2",
        // Its batch norms are folded in training.
        "QUANTIZATION.TYPE", "iao", "QUANTIZATION.WBITS", "8", "QUANTIZATION.ABITS", "8"};
    if (resume) arguments.insert(arguments.begin(), "--resume");
    const auto result = run_tool("train_net", arguments);
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("% of scales near 0"));
    if (resume) {
      EXPECT_THAT(result.output, HasSubstr("after 3 iterations"));
    }
  };
  const fs::path folder = dir / "sparse";
  for (const char* penalty : {"polarized", "group"}) {
    fs::remove_all(folder);
    train(penalty, /*resume=*/false);
    EXPECT_TRUE(fs::exists(folder / "sparsity/scales_0000004.png"));
    EXPECT_TRUE(fs::exists(folder / "sparsity/scales_0000006.png"));
    const std::string metrics = read(folder / "metrics.jsonl");
    for (const char* name : {"rate", "near_zero", "threshold_30", "below_70"}) {
      EXPECT_THAT(metrics, HasSubstr(std::string("\"sparsity/") + name + "\""));
    }
    fs::rename(folder / "model_final.safetensors", dir / "whole.safetensors");
    train(penalty, /*resume=*/true);
    expect_same_tensors(output("whole.safetensors"), (folder / "model_final.safetensors").string());
  }
}

}  // namespace
}  // namespace ssdq::testing
