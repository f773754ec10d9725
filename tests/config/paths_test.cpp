#include "ssdq/config/paths.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "tests/config/config_testing.h"

namespace ssdq {
namespace {

TEST(ResolvePath, FindsFilesAsGivenAndBesideTheConfiguration) {
  const std::string config = testing::data_path("fork_mini_ssd.yaml");
  EXPECT_EQ(resolve_path(config, ""), config);
  EXPECT_EQ(resolve_path("fork_vgg_bn_quan.yaml", config),
            testing::data_path("fork_vgg_bn_quan.yaml"));
  EXPECT_EQ(resolve_path("paths_test.cpp", config), SSDQ_SOURCE_DIR "/tests/config/paths_test.cpp");
}

TEST(ResolvePath, BareNamesAreThoseBesideTheConfigurationFirst) {
  const auto folder = std::filesystem::temp_directory_path() / "ssdq_paths_test";
  for (const char* part : {"run", "elsewhere"}) {
    std::filesystem::create_directories(folder / part);
    std::ofstream(folder / part / "network.cfg") << part;
  }
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder / "elsewhere");
  const auto config = (folder / "run" / "config.yaml").string();
  const auto bare = resolve_path("network.cfg", config);
  const auto given = resolve_path("./network.cfg", config);
  std::filesystem::current_path(before);
  EXPECT_EQ(bare, (folder / "run" / "network.cfg").string());
  EXPECT_EQ(given, "network.cfg");
  std::filesystem::remove_all(folder);
}

TEST(ResolvePath, MissingFileListsThePlacesTried) {
  const std::string error =
      testing::config_error([] { resolve_path("configs/no.cfg", "my/a.yaml"); });
  EXPECT_THAT(error, ::testing::MatchesRegex(
                         "no file 'configs/no.cfg'; tried configs/no.cfg, my/configs/no.cfg, "
                         ".*/share/ssdq/configs/no.cfg"));
  EXPECT_EQ(testing::config_error([] { resolve_path("/no.cfg", "a.yaml"); }),
            "no file '/no.cfg'; tried /no.cfg");
}

TEST(ResolvePath, DirectoriesAreNoFiles) {
  EXPECT_EQ(testing::config_error([] { resolve_path("/tmp", ""); }), "no file '/tmp'; tried /tmp");
  EXPECT_EQ(testing::config_error([] { resolve_path("", ""); }),
            "expected the path of a file, got nothing");
}

}  // namespace
}  // namespace ssdq
