#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/distributed/launcher.h"

namespace ssdq {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Result {
  int status = 0;
  std::string out, err;
};

// Four ranks over Gloo, each a process.
Result run_program(const std::vector<std::string>& arguments) {
  LaunchOptions options;
  options.processes = 4;
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
  const auto result = run_program({"sum"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "sum 10\n");
}

TEST(RunOfSeveralProcesses, EndsWhenARankIsKilled) {
  for (const char* rank : {"0", "2"}) {
    const auto result = run_program({"killed", rank});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.err, HasSubstr(std::string("rank ") + rank + " was killed by SIGKILL"));
  }
}

TEST(RunOfSeveralProcesses, EndsWhenARankThrows) {
  const auto result = run_program({"throws", "3"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("rank 3 exited with status 1; its last line was: "
                                    "rank_program: the disk is full\n"));
}

TEST(RunOfSeveralProcesses, EndsAfterTheTimeoutWhenARankHangs) {
  const auto begin = std::chrono::steady_clock::now();
  const auto result = run_program({"hangs", "1"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("DISTRIBUTED.TIMEOUT"), HasSubstr("rank 1 did not end by then\n")));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace ssdq
