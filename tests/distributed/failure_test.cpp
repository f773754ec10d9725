#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/distributed/launcher.h"
#include "ssdq/distributed/peers.h"

namespace ssdq {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Result {
  int status = 0;
  std::string out, err;
};

// Ranks over Gloo, each a process.
Result run_program(int ranks, const std::vector<std::string>& arguments) {
  LaunchOptions options;
  options.processes = ranks;
  options.program = SSDQ_BIN_DIR "/rank_program";
  std::vector<std::string> line{"rank_program"};
  line.insert(line.end(), arguments.begin(), arguments.end());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Result result;
  result.status = launch(options, line);
  result.out = testing::internal::GetCapturedStdout();
  result.err = testing::internal::GetCapturedStderr();
  return result;
}

TEST(RunOfSeveralProcesses, ReducesOverAllOfThem) {
  const auto result = run_program(4, {"sum"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "sum 10\n");
}

TEST(RunOfSeveralProcesses, EndsWhenARankIsKilled) {
  const auto result = run_program(4, {"killed", "2"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("rank 2 was killed by SIGKILL"));
  EXPECT_THAT(result.err, HasSubstr("all_reduce failed: the rank at 127.0.0.1 closed the "
                                    "connection; rank 2 has ended"));
}

TEST(RunOfSeveralProcesses, EndsWhenTheRankThatListensIsKilled) {
  const auto result = run_program(2, {"killed", "0"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("rank 0 was killed by SIGKILL"));
}

TEST(RunOfSeveralProcesses, EndsWhenARankThrows) {
  const auto result = run_program(2, {"throws", "1"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("rank 1 exited with status 1; its last line was: "
                                    "rank_program: the disk is full\n"));
}

TEST(RunOfSeveralProcesses, EndsAfterTheTimeoutWhenARankHangs) {
  const auto result = run_program(3, {"hangs", "1"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("DISTRIBUTED.TIMEOUT"), HasSubstr("still running: rank 1\n")));
}

TEST(ExplainFailure, KeepsWhatNcclSaysAfterThePlaceInLibTorch) {
  EXPECT_EQ(explain_failure("NCCL error in: NCCLUtils.cpp:77, invalid usage, NCCL version 2.22.3\n"
                            "ncclInvalidUsage: This usually reflects invalid usage of NCCL.\n"
                            "Last error:\n"
                            "Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1b000\n"
                            "Exception raised from",
                            /*timeout=*/9),
            "NCCL error in: NCCLUtils.cpp:77, invalid usage, NCCL version 2.22.3: "
            "Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1b000");
}

}  // namespace
}  // namespace ssdq
