#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"

namespace ssdq {
namespace {

// Configurations of lufficc/SSD name their backbone without a cfg file; the shipped cfg of that
// network is taken, looked for from the source folder.
class LufficcConfig : public testing::Test {
 protected:
  void SetUp() override {
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(SSDQ_SOURCE_DIR);
  }
  void TearDown() override { std::filesystem::current_path(before_); }

  static int64_t priors_of(const std::string& file) {
    auto registries = builtin_registries();
    const auto loaded = load_config(std::string(SSDQ_SOURCE_DIR "/tests/config/data/") + file,
                                    {"MODEL.DEVICE", "cpu"});
    validate(loaded.config, loaded.origins, known_names(registries));
    return static_cast<int64_t>(
        build_experiment(loaded.config, loaded.file, registries).priors.size());
  }

 private:
  std::filesystem::path before_;
};

TEST_F(LufficcConfig, OfVggSsd512HasThePapersPriors) {
  EXPECT_EQ(priors_of("lufficc_vgg_ssd512.yaml"), 24564);
}

// Maps of 20, 10, 5, 3, 2 and 1 with 6 boxes at each location: 6 (400 + 100 + 25 + 9 + 4 + 1).
TEST_F(LufficcConfig, OfMobileNetV2HasSixBoxesAtEachLocation) {
  EXPECT_EQ(priors_of("lufficc_mobilenet_v2_ssd320.yaml"), 3234);
}

}  // namespace
}  // namespace ssdq
