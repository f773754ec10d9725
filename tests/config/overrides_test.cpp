#include "ssdq/config/overrides.h"

#include <gmock/gmock.h>

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

CommandLine split(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "train_net");
  return split_overrides(static_cast<int>(arguments.size()), arguments.data(),
                         {"--config-file", "-c"});
}

TEST(Overrides, BeginAtTheFirstKey) {
  const CommandLine line = split(
      {"--config-file", "a.yaml", "--resume", "SOLVER.LR", "1e-4", "TEST.MAX_PER_CLASS", "-1"});
  EXPECT_THAT(line.options, ElementsAre("--config-file", "a.yaml", "--resume"));
  EXPECT_THAT(line.overrides, ElementsAre("SOLVER.LR", "1e-4", "TEST.MAX_PER_CLASS", "-1"));
}

TEST(Overrides, OptionsMayFollowThem) {
  const CommandLine line =
      split({"SOLVER.LR", "--1", "--resume", "SEED", "3", "--config-file", "a.yaml"});
  EXPECT_THAT(line.options, ElementsAre("--resume", "--config-file", "a.yaml"));
  EXPECT_THAT(line.overrides, ElementsAre("SOLVER.LR", "--1", "SEED", "3"));
}

TEST(Overrides, KeyWithoutASectionCounts) {
  EXPECT_THAT(split({"OUTPUT_DIR", "x"}).overrides, ElementsAre("OUTPUT_DIR", "x"));
}

TEST(Overrides, ValueOfAnOptionIsNoKey) {
  const CommandLine line = split({"-c", "CONFIG", "--config-file=MY.YAML", "SEED", "1"});
  EXPECT_THAT(line.options, ElementsAre("-c", "CONFIG", "--config-file=MY.YAML"));
  EXPECT_THAT(line.overrides, ElementsAre("SEED", "1"));
}

TEST(Overrides, NamesOfTheUsersOwnMayBeLowerCase) {
  EXPECT_THAT(split({"DATASETS.DEFINE.cells.ROOT", "x"}).overrides,
              ElementsAre("DATASETS.DEFINE.cells.ROOT", "x"));
  EXPECT_THAT(split({"TEST.EXPECTED_RESULTS.mAP", ".5"}).options, IsEmpty());
}

TEST(Overrides, OtherPositionalArgumentsStayWithTheOptions) {
  EXPECT_THAT(split({"images/A.jpg", "Folder", "--x"}).options,
              ElementsAre("images/A.jpg", "Folder", "--x"));
  EXPECT_THAT(split({}).options, IsEmpty());
  EXPECT_THAT(split({"--config-file"}).options, ElementsAre("--config-file"));
}

}  // namespace
}  // namespace ssdq
