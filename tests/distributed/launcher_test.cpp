#include "ssdq/distributed/launcher.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/distributed/peers.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class Launcher : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + "launcher_" + test->name() + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    options_.processes = 3;
    options_.program = "/bin/sh";
    options_.settle = 0.5;
    options_.grace = 0.5;
  }

  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Runs the shell script as every rank; $1 is a folder, further arguments follow.
  int run(const std::string& script, const RestartArguments& restart_arguments = {}) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = launch(options_, {"sh", "-c", script, "sh", folder_}, restart_arguments);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return status;
  }

  std::string content(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // The processes that wrote their numbers to files named after the ranks; waits for them.
  std::vector<Peer> started(int count) const {
    std::vector<Peer> peers;
    for (int rank = 0; rank < count; ++rank) {
      const auto name = "pid" + std::to_string(rank);
      while (content(name).find('\n') == std::string::npos) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      peers.push_back({"here", std::stoi(content(name)), count});
    }
    return peers;
  }

  std::string folder_;
  LaunchOptions options_;
  std::string out_, err_;
};

TEST_F(Launcher, GivesEveryRankItsPlace) {
  options_.machines = 2;
  options_.machine_rank = 1;
  options_.dist_url = "tcp://node7:29500";
  EXPECT_EQ(run("echo $RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE $MASTER_ADDR $MASTER_PORT "
                "> $1/$RANK"),
            0);
  EXPECT_EQ(content("3"), "3 6 0 3 node7 29500\n");
  EXPECT_EQ(content("5"), "5 6 2 3 node7 29500\n");
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(Launcher, GivesAllRanksOfOneMachineTheSameFreePort) {
  EXPECT_EQ(run("echo $MASTER_ADDR:$MASTER_PORT > $1/$RANK"), 0);
  EXPECT_THAT(content("0"), MatchesRegex("127.0.0.1:[0-9]+\n"));
  EXPECT_EQ(content("0"), content("2"));
}

TEST_F(Launcher, PrefixesTheLinesOfAllButRankZero) {
  options_.processes = 2;
  EXPECT_EQ(run("echo out; echo one >&2; printf two >&2"), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("rank 1: out\n"), Not(HasSubstr("rank 0"))));
  EXPECT_THAT(err_, AllOf(HasSubstr("rank 1: one\n"), HasSubstr("rank 1: two\n")));
  EXPECT_THAT(err_, AnyOf(HasSubstr("one\ntwo"), HasSubstr("one\nrank")));
}

TEST_F(Launcher, ReturnsTheStatusOfTheRankThatFailedAndNamesIt) {
  EXPECT_EQ(run("if [ $RANK = 2 ]; then echo no such file >&2; exit 7; fi; exec sleep 100"), 7);
  EXPECT_THAT(err_, HasSubstr("rank 2 exited with status 7; its last line was: no such file\n"));
}

TEST_F(Launcher, NamesTheSignalThatEndedARank) {
  EXPECT_EQ(run("[ $RANK = 1 ] && kill -9 $$; exec sleep 100"), 1);
  EXPECT_THAT(err_, HasSubstr("rank 1 was killed by SIGKILL; was the memory exhausted?"));
  EXPECT_EQ(run("[ $RANK = 0 ] && kill -SEGV $$; exec sleep 100"), 1);
  EXPECT_THAT(err_, HasSubstr("rank 0 was ended by signal 11 (Segmentation fault)"));
}

TEST_F(Launcher, TellsTheCauseFromItsConsequences) {
  EXPECT_EQ(run("case $RANK in\n"
                "0) echo rank 0 of 3: all_reduce failed: it closed the connection >&2; exit 1;;\n"
                "1) sleep 0.2; echo out of memory >&2; exit 1;;\n"
                "2) exec sleep 100;; esac"),
            1);
  EXPECT_THAT(err_, HasSubstr("rank 1 exited with status 1; its last line was: out of memory\n"));
}

// With NCCL a rank that loses another is aborted by a watchdog thread, with a stack trace.
TEST_F(Launcher, TellsAWatchdogsAbortFromTheCause) {
  const std::string watchdog =
      "trap '' TERM\n"
      "printf '  what():  [Rank 0] NCCL error: remote process exited\\nLast error:\\n"
      "socketProgress: Connection closed by remote peer node1<47001>\\n"
      "Exception raised from check at NCCL.cpp:1 (most recent call first):\\n"
      "frame #0: c10::Error + 0x9 (0x7f in libc10.so)\\nframe #1: clone + 0x4\\n\\n' >&2\n"
      "kill -ABRT $$\n";
  EXPECT_EQ(
      run("if [ $RANK = 2 ]; then sleep 0.2; echo out of memory >&2; exit 1; fi\n" + watchdog), 1);
  EXPECT_THAT(err_, HasSubstr("rank 2 exited with status 1; its last line was: out of memory\n"));

  EXPECT_EQ(run("[ $RANK = 1 ] || exec sleep 100\n" + watchdog), 1);
  EXPECT_THAT(err_, HasSubstr("its last line was: socketProgress: Connection closed by remote peer "
                              "node1<47001>; still running: ranks 0 and 2\n"));
}

TEST_F(Launcher, NamesTheRankThatHangs) {
  EXPECT_EQ(run("[ $RANK = 1 ] && exec sleep 100\n"
                "echo the others did not come within 9 s '(DISTRIBUTED.TIMEOUT)' >&2; exit 1"),
            1);
  EXPECT_THAT(err_, HasSubstr("(DISTRIBUTED.TIMEOUT); still running: rank 1\n"));
}

TEST_F(Launcher, KillsRanksThatIgnoreSigterm) {
  EXPECT_EQ(run("echo $$ > $1/pid$RANK; [ $RANK = 0 ] && exit 3\n"
                "trap '' TERM; while :; do sleep 0.1; done"),
            3);
  EXPECT_EQ(ranks_gone(started(3), "here").size(), 3);
}

TEST_F(Launcher, PassesASignalOnOnceAndWaits) {
  EXPECT_EQ(
      run("trap 'echo stop >> $1/stopped$RANK; sleep 0.3; exit 130' TERM\n"
          "touch $1/ready$RANK\n"
          "while [ ! -e $1/ready0 -o ! -e $1/ready1 -o ! -e $1/ready2 ]; do sleep 0.05; done\n"
          "[ $RANK = 0 ] && kill -TERM $PPID; while :; do sleep 0.05; done"),
      130);
  for (const char* name : {"stopped0", "stopped1", "stopped2"}) {
    EXPECT_EQ(content(name), "stop\n");
  }
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(Launcher, StartsAgainFromTheCheckpoint) {
  options_.max_restarts = 2;
  const auto status = run("echo $2 >> $1/runs$RANK; [ $RANK = 1 ] && exit 1; exec sleep 100",
                          [] { return std::vector<std::string>{"--resume"}; });
  EXPECT_EQ(status, 1);
  EXPECT_EQ(content("runs1"), "\n--resume\n--resume\n");
  EXPECT_THAT(err_, AllOf(HasSubstr("rank 1 exited with status 1; restart 1 of 2\n"),
                          HasSubstr("restart 2 of 2\n")));
}

TEST_F(Launcher, SucceedsWhenARestartDoes) {
  options_.max_restarts = 5;
  EXPECT_EQ(run("[ $RANK = 0 -a \"$2\" = '' ] && kill -9 $$; exit 0",
                [] { return std::vector<std::string>{"again"}; }),
            0);
}

TEST_F(Launcher, DoesNotRepeatWrongUsage) {
  options_.max_restarts = 5;
  EXPECT_EQ(run("echo x >> $1/runs$RANK; exit 2"), 2);
  EXPECT_EQ(content("runs0"), "x\n");
}

TEST_F(Launcher, TriesAnotherPortOnceWhenItsOwnWasTaken) {
  EXPECT_EQ(run("[ $RANK = 0 ] || exec sleep 100; echo $MASTER_PORT >> $1/ports\n"
                "echo port 1 is busy: another process listens on it >&2; exit 1"),
            1);
  const auto ports = content("ports");
  EXPECT_EQ(std::count(ports.begin(), ports.end(), '\n'), 2);
}

TEST_F(Launcher, LeavesNoOrphansWhenItIsKilled) {
  const pid_t launcher = fork();
  if (launcher == 0) {
    launch(options_, {"sh", "-c", "echo $$ > $1/pid$RANK; exec sleep 100", "sh", folder_});
    _exit(0);
  }
  const auto peers = started(3);
  EXPECT_THAT(ranks_gone(peers, "here"), IsEmpty());
  kill(launcher, SIGKILL);
  waitpid(launcher, nullptr, 0);
  for (const auto& peer : peers) {
    std::vector<int> gone;
    for (int i = 0; i < 100 && gone.empty(); ++i) {
      gone = ranks_gone({peer}, "here");
    }
    EXPECT_THAT(gone, testing::ElementsAre(0));
  }
}

TEST_F(Launcher, SaysThatTheProgramCannotBeStarted) {
  options_.program = "/no/such/program";
  EXPECT_EQ(run(""), 127);
  EXPECT_THAT(err_, HasSubstr("last line was: /no/such/program: No such file or directory"));
}

TEST_F(Launcher, RefusesOptionsThatDoNotFit) {
  options_.machines = 2;
  EXPECT_THROW(launch(options_, {"sh"}), ConfigError);
  options_.dist_url = "node1";
  EXPECT_THROW(launch(options_, {"sh"}), ConfigError);
  options_.dist_url = "tcp://node1:29500";
  options_.machine_rank = 2;
  EXPECT_THROW(launch(options_, {"sh"}), ConfigError);
}

}  // namespace
}  // namespace ssdq
