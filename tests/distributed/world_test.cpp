#include <map>
#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/distributed/launcher.h"
#include "ssdq/distributed/world.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using testing::HasSubstr;

using Settings = std::map<std::string, std::string>;

World read(const Settings& settings) {
  return world_from_environment([&](const std::string& name) -> std::optional<std::string> {
    const auto found = settings.find(name);
    return found == settings.end() ? std::nullopt : std::make_optional(found->second);
  });
}

struct Place {
  const char* name;
  Settings settings;
  World expected;
};

void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }

World world(int rank, int size, int local_rank, int local_size, const std::string& host, int port) {
  World result;
  result.rank = rank;
  result.size = size;
  result.local_rank = local_rank;
  result.local_size = local_size;
  result.host = host;
  result.port = port;
  return result;
}

const Settings kAddress = {{"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"}};

Settings with(Settings settings, const Settings& more) {
  for (const auto& [name, value] : more) {
    settings[name] = value;
  }
  return settings;
}

const Settings kTorchrun = with(
    kAddress, {{"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "4"}});
const Settings kSlurm = {{"SLURM_JOB_ID", "123"},
                         {"SLURM_STEP_ID", "0"},
                         {"SLURM_PROCID", "3"},
                         {"SLURM_LOCALID", "1"},
                         {"SLURM_NODEID", "1"},
                         {"SLURM_NTASKS", "7"},
                         {"SLURM_TASKS_PER_NODE", "2(x3),1"},
                         {"SLURM_JOB_NODELIST", "gpu[03-05,9],login"}};
const Settings kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "2"},
                           {"OMPI_COMM_WORLD_SIZE", "4"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "0"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};

class WorldFromEnvironment : public testing::TestWithParam<Place> {};

TEST_P(WorldFromEnvironment, ReadsWhatTheLauncherSet) {
  const auto& expected = GetParam().expected;
  const auto got = read(GetParam().settings);
  EXPECT_EQ(got.rank, expected.rank);
  EXPECT_EQ(got.size, expected.size);
  EXPECT_EQ(got.local_rank, expected.local_rank);
  EXPECT_EQ(got.local_size, expected.local_size);
  EXPECT_EQ(got.host, expected.host);
  EXPECT_EQ(got.port, expected.port);
}

INSTANTIATE_TEST_SUITE_P(
    Launchers, WorldFromEnvironment,
    testing::Values(
        Place{"Nothing", {}, World()}, Place{"AddressAlone", kAddress, World()},
        Place{"Torchrun", kTorchrun, world(5, 8, 1, 4, "node7", 29500)},
        Place{"TorchrunOfOne", {{"RANK", "0"}, {"WORLD_SIZE", "1"}}, World()},
        Place{"ByHand", with(kAddress, {{"RANK", "1"}, {"WORLD_SIZE", "2"}}),
              world(1, 2, 0, 1, "node7", 29500)},
        Place{"Slurm", kSlurm, world(3, 7, 1, 2, "gpu03", 15123)},
        Place{"SlurmLastNode",
              with(kSlurm, {{"SLURM_PROCID", "6"}, {"SLURM_LOCALID", "0"}, {"SLURM_NODEID", "3"}}),
              world(6, 7, 0, 1, "gpu03", 15123)},
        Place{"SlurmWithAddress", with(kSlurm, kAddress), world(3, 7, 1, 2, "node7", 29500)},
        Place{"SlurmSecondStepOnSomeNodes",
              with(kSlurm, {{"SLURM_STEP_ID", "1"}, {"SLURM_STEP_NODELIST", "gpu05"}}),
              world(3, 7, 1, 2, "gpu05", 15224)},
        Place{"TorchrunInsideSlurm", with(kSlurm, kTorchrun), world(5, 8, 1, 4, "node7", 29500)},
        Place{"MpirunInsideSlurm", with(kSlurm, kOpenMpi), world(2, 4, 0, 2, "gpu03", 15123)},
        Place{"SlurmBatchScript", with(kSlurm, {{"SLURM_STEP_ID", "4294967291"}}), World()},
        Place{"SlurmInteractiveStep", with(kSlurm, {{"SLURM_STEP_ID", "4294967290"}}), World()},
        Place{"SlurmSalloc", {{"SLURM_JOB_ID", "123"}, {"SLURM_NTASKS", "8"}}, World()},
        Place{"SrunPtyShell",
              with(kSlurm, {{"SLURM_PROCID", "0"},
                            {"SLURM_LOCALID", "0"},
                            {"SLURM_NODEID", "0"},
                            {"SLURM_NTASKS", "1"},
                            {"SLURM_TASKS_PER_NODE", "1"}}),
              World()},
        Place{"OpenMpi", with(kAddress, kOpenMpi), world(2, 4, 0, 2, "node7", 29500)},
        Place{"Mpich",
              with(kAddress, {{"PMI_RANK", "1"},
                              {"PMI_SIZE", "2"},
                              {"MPI_LOCALRANKID", "1"},
                              {"MPI_LOCALNRANKS", "2"}}),
              world(1, 2, 1, 2, "node7", 29500)}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(WorldFromEnvironmentOfTorchrun, UsesTheStoreOfTheAgent) {
  const auto got = read(with(
      kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RESTART_COUNT", "2"}}));
  EXPECT_TRUE(got.agent_listens);
  EXPECT_EQ(got.prefix, "/worker/attempt_2");
  EXPECT_FALSE(read(kTorchrun).agent_listens);
}

struct Mistake {
  const char* name;
  Settings settings;
  const char* message;
};

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

class MistakeInTheEnvironment : public testing::TestWithParam<Mistake> {};

TEST_P(MistakeInTheEnvironment, IsNamed) {
  try {
    read(GetParam().settings);
    FAIL() << "nothing was thrown";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, MistakeInTheEnvironment,
    testing::Values(
        Mistake{"RankAlone", {{"RANK", "0"}}, "WORLD_SIZE is not set in the environment but RANK"},
        Mistake{"SizeAlone", {{"WORLD_SIZE", "2"}}, "RANK is not"},
        Mistake{"RankTooHigh", with(kTorchrun, {{"RANK", "8"}}), "RANK is 8 and WORLD_SIZE is 8"},
        Mistake{"NotANumber", with(kTorchrun, {{"RANK", "1x"}}), "RANK is \"1x\""},
        Mistake{"Negative", with(kTorchrun, {{"RANK", "-1"}}), "RANK is \"-1\""},
        Mistake{"NoRanks", with(kTorchrun, {{"WORLD_SIZE", "0"}}), "WORLD_SIZE is \"0\""},
        Mistake{"LocalRankTooHigh", with(kTorchrun, {{"LOCAL_RANK", "4"}}),
                "LOCAL_RANK is 4 and LOCAL_WORLD_SIZE is 4"},
        Mistake{"LocalSizeTooHigh", with(kTorchrun, {{"LOCAL_WORLD_SIZE", "9"}}),
                "LOCAL_WORLD_SIZE is 9 and WORLD_SIZE is 8"},
        Mistake{"PortTooHigh", with(kTorchrun, {{"MASTER_PORT", "70000"}}),
                "MASTER_PORT is \"70000\" in the environment; expected a whole number from 1 to "
                "65535"},
        Mistake{"NoAddress", kOpenMpi, "mpirun started 4 ranks but MASTER_ADDR is not set"},
        Mistake{"NoPort", with(kOpenMpi, {{"MASTER_ADDR", "node7"}}),
                "MASTER_PORT is not set in the environment; set it to a free port on node7"},
        Mistake{"OpenMpiSizeAlone", {{"OMPI_COMM_WORLD_SIZE", "2"}}, "OMPI_COMM_WORLD_RANK"},
        Mistake{"SlurmRankTooHigh", with(kSlurm, {{"SLURM_PROCID", "7"}}), "SLURM_PROCID is 7"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(FirstHost, ExpandsTheBracketsOfSlurm) {
  EXPECT_EQ(first_host("node1"), "node1");
  EXPECT_EQ(first_host("node1,node2"), "node1");
  EXPECT_EQ(first_host("node[03-05,9],other"), "node03");
  EXPECT_EQ(first_host("node[7]"), "node7");
  EXPECT_EQ(first_host("node[4,6-8]-ib"), "node4-ib");
  EXPECT_EQ(first_host("rack[1-2]n[10-40]"), "rack1n10");
  EXPECT_THROW(first_host("node[1-2"), ConfigError);
  EXPECT_THROW(first_host(""), ConfigError);
}

TEST(DistUrl, IsHostAndPort) {
  EXPECT_EQ(parse_dist_url("tcp://node-1.cluster:29500").host, "node-1.cluster");
  EXPECT_EQ(parse_dist_url("tcp://node-1.cluster:29500").port, 29500);
  EXPECT_EQ(parse_dist_url("tcp://[fe80::1]:29500").host, "fe80::1");
}

TEST(DistUrl, SaysWhatIsWrongWithAnAddress) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"node1:29500", "does not begin with tcp://"},
      {"tcp://node1", "has no port"},
      {"tcp://:29500", "has no host"},
      {"tcp://node1:http", "port \"http\""},
      {"tcp://node1:0", "from 1 to 65535"},
      {"tcp://node1:65536", "from 1 to 65535"},
      {"tcp://node1:", "port \"\""},
      {"", "does not begin"}};
  for (const auto& [url, message] : cases) {
    try {
      parse_dist_url(url);
      ADD_FAILURE() << url;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  }
}

}  // namespace
}  // namespace ssdq
