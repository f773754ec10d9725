#include "tools/launch_arguments.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace po = boost::program_options;

using testing::ElementsAre;

std::optional<LaunchOptions> read(const std::vector<std::string>& arguments) {
  po::options_description options;
  add_launch_options(options);
  po::variables_map given;
  po::store(po::command_line_parser(arguments).options(options).run(), given);
  return read_launch_options(given);
}

TEST(LaunchArguments, AreForTheLauncherOnlyWhenGiven) {
  EXPECT_FALSE(read({}));
  EXPECT_EQ(read({"--max-restarts", "3"})->processes, 1);
  const auto options = read({"--num-gpus", "4", "--num-machines=2", "--machine-rank", "1",
                             "--dist-url", "tcp://node1:29500"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->processes, 4);
  EXPECT_EQ(options->machines, 2);
  EXPECT_EQ(options->machine_rank, 1);
  EXPECT_EQ(options->dist_url, "tcp://node1:29500");
  EXPECT_THROW(read({"--num-gpus", "2", "--num-procs", "2"}), ConfigError);
}

TEST(LaunchArguments, AreRefusedInsideARank) {
  setenv("RANK", "0", 1);
  setenv("WORLD_SIZE", "1", 1);
  EXPECT_FALSE(read({}));
  EXPECT_THROW(read({"--num-procs", "2"}), ConfigError);
  unsetenv("RANK");
  unsetenv("WORLD_SIZE");
}

TEST(LaunchArguments, AreNotPassedOnToTheRanks) {
  std::vector<std::string> line{"train_net",
                                "--num-procs",
                                "2",
                                "--resume",
                                "--dist-url=tcp://a:1",
                                "--config-file",
                                "x.yaml",
                                "SOLVER.LR",
                                "-1",
                                "--max-restarts",
                                "4"};
  std::vector<char*> arguments;
  for (auto& argument : line) {
    arguments.push_back(argument.data());
  }
  EXPECT_THAT(without_launch_options(static_cast<int>(arguments.size()), arguments.data()),
              ElementsAre("train_net", "--resume", "--config-file", "x.yaml", "SOLVER.LR", "-1"));
}

}  // namespace
}  // namespace ssdq
