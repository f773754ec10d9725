#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <regex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distributed_run.h"
#include "ssdq/distributed/sockets.h"

namespace ssdq::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Clock = std::chrono::steady_clock;

// A port that somebody listens at.
class BusyPort {
 public:
  BusyPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, length), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
    EXPECT_EQ(getsockname(socket_, generic, &length), 0);
    port_ = ntohs(address.sin_port);
  }
  ~BusyPort() { close(socket_); }
  BusyPort(const BusyPort&) = delete;
  BusyPort& operator=(const BusyPort&) = delete;

  std::string url() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

 private:
  int socket_;
  int port_ = 0;
};

class FailureOfRanks : public DistributedRun {
 protected:
  pid_t start(const Arguments& more) const {
    Arguments all{"SOLVER.BATCH_SIZE", "2", "DATASETS.TEST", "[]"};
    all.insert(all.end(), more.begin(), more.end());
    return start_tool("train_net", arguments("run", 2, all), output("log"));
  }

  void expect_refused(const Arguments& options, int ranks, int status,
                      const std::string& sentence) const {
    const auto result = run_tool("train_net", arguments("run", ranks, options));
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(sentence));
  }
};

TEST_F(FailureOfRanks, SigtermStopsAllAfterTheSameStepWithACheckpoint) {
  const pid_t launcher = start({"SOLVER.MAX_ITER", "100000", "SOLVER.CHECKPOINT_PERIOD", "3"});
  ASSERT_TRUE(wait_for_file("run/model_0000003.safetensors")) << content("log");
  kill(launcher, SIGTERM);
  EXPECT_EQ(wait_for(launcher), 130);
  EXPECT_THAT(processes(), IsEmpty());

  const std::string log = content("log");
  const std::regex pattern("stopped by a signal after ([0-9]+) iterations");
  std::vector<std::string> iterations;
  for (std::sregex_iterator match(log.begin(), log.end(), pattern), end; match != end; ++match) {
    iterations.push_back((*match)[1]);
  }
  ASSERT_EQ(iterations.size(), 2U) << log;
  EXPECT_EQ(iterations[0], iterations[1]);
  const auto resumed = train("run", 2,
                             {"--resume", "SOLVER.BATCH_SIZE", "2", "DATASETS.TEST", "[]",
                              "SOLVER.MAX_ITER", std::to_string(std::stoi(iterations[0]) + 1)});
  EXPECT_THAT(resumed.output, HasSubstr("after " + iterations[0] + " iterations"));
}

TEST_F(FailureOfRanks, AKilledRankEndsTheRunAndIsNamed) {
  const pid_t launcher = start({"SOLVER.MAX_ITER", "100000", "SOLVER.CHECKPOINT_PERIOD", "3"});
  ASSERT_TRUE(wait_for_file("run/model_0000003.safetensors")) << content("log");
  const pid_t rank = process_of_rank(1);
  ASSERT_NE(rank, 0);
  const auto killed = Clock::now();
  kill(rank, SIGKILL);
  EXPECT_EQ(wait_for(launcher), 1);
  // 1 s for others to fail, 10 s for those that do not leave, and what a busy machine adds.
  EXPECT_LT(Clock::now() - killed, std::chrono::seconds(15));
  EXPECT_THAT(content("log"), AllOf(HasSubstr("rank 1 was killed by SIGKILL"),
                                    HasSubstr("closed the connection; rank 1 has ended")));
  EXPECT_THAT(processes(), IsEmpty());
  const auto& weights = output("run/model_0000003.safetensors");
  EXPECT_TRUE(same_bits(weights, weights));  // it can be read
}

TEST_F(FailureOfRanks, AKilledRunStartsAgainFromItsCheckpoint) {
  const pid_t launcher =
      start({"--max-restarts", "1", "SOLVER.MAX_ITER", "80", "SOLVER.CHECKPOINT_PERIOD", "20"});
  const pid_t rank = process_of_rank(1);
  ASSERT_NE(rank, 0);
  ASSERT_TRUE(wait_for_file("run/model_0000020.safetensors")) << content("log");
  kill(rank, SIGKILL);
  EXPECT_EQ(wait_for(launcher), 0) << content("log");
  EXPECT_THAT(content("log"), AllOf(HasSubstr("rank 1 was killed by SIGKILL"),
                                    HasSubstr("restart 1 of 1"), HasSubstr("resuming ")));
  EXPECT_TRUE(wait_for_file("run/model_final.safetensors"));
  const std::string metrics = content("run/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 80);
}

TEST_F(FailureOfRanks, ACheckpointOfAnEarlierRunIsNothingToGoOnFrom) {
  train("run", 0, {"SOLVER.MAX_ITER", "2", "DATASETS.TEST", "[]"});
  const pid_t launcher = start({"--max-restarts", "1", "SOLVER.MAX_ITER", "3"});
  const pid_t rank = process_of_rank(1);
  ASSERT_NE(rank, 0);
  kill(rank, SIGKILL);
  EXPECT_EQ(wait_for(launcher), 0) << content("log");
  EXPECT_THAT(content("log"), AllOf(HasSubstr("restart 1 of 1"), HasSubstr("iter 3/3"),
                                    ::testing::Not(HasSubstr("resuming "))));
}

TEST_F(FailureOfRanks, RanksWithOtherConfigurationsAreRefused) {
  const auto port = std::to_string(find_free_port());
  std::vector<pid_t> ranks;
  for (const std::string rank : {"0", "1"}) {
    const EnvironmentScope scope(
        {{"RANK", rank}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}});
    ranks.push_back(start_tool("train_net",
                               arguments("run", 0, {"SOLVER.LR", rank == "0" ? "0.01" : "0.02"}),
                               output("log" + rank)));
  }
  for (const pid_t rank : ranks) {
    EXPECT_EQ(wait_for(rank), 1);
  }
  for (const char* log : {"log0", "log1"}) {
    EXPECT_THAT(content(log),
                AllOf(HasSubstr("train_net: the configuration of rank 1 differs from rank 0's"),
                      HasSubstr("is \"LR: 0.02\" and \"LR: 0.01\" on rank 0")));
  }
}

TEST_F(FailureOfRanks, MistakesInAddressesAreOneSentence) {
  const BusyPort busy;
  expect_refused({"--dist-url", busy.url()}, 2, 1, "is busy: another process listens on it");
  expect_refused({"--dist-url", "tpc://127.0.0.1:29500"}, 2, 2, "does not begin with tcp://");
  expect_refused({"--dist-url", "tcp://127.0.0.1"}, 2, 2, "has no port");
  expect_refused({"--num-machines", "2"}, 2, 2, "2 machines need the address of the first");
  const auto nobody = "tcp://127.0.0.1:" + std::to_string(find_free_port());
  expect_refused({"--num-machines", "2", "--machine-rank", "1", "--dist-url", nobody,
                  "DISTRIBUTED.TIMEOUT", "1"},
                 1, 1, "refused");
}

TEST_F(FailureOfRanks, MistakesInNumbersOfRanksAreOneSentence) {
  expect_refused({"--num-procs", "0"}, 0, 2, "0 processes cannot be started; expected 1 or more");
  expect_refused({"--num-gpus", "64", "MODEL.DEVICE", "auto"}, 0, 2,
                 "--num-gpus 64 was given, but LibTorch sees");
  expect_refused({"--num-gpus", "2"}, 0, 2, "--num-gpus was given, but MODEL.DEVICE is cpu");
  {
    const EnvironmentScope scope(Variables{{"RANK", "0"}});
    expect_refused({}, 0, 2, "WORLD_SIZE is not set in the environment but RANK is; set both");
  }
  const EnvironmentScope scope(
      {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "29500"}});
  expect_refused({}, 2, 2, "--num-procs starts processes, but this one was itself started");
}

}  // namespace
}  // namespace ssdq::testing
