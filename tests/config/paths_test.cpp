#include "ssdq/config/paths.h"

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
