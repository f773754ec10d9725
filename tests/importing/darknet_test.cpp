#include "ssdq/importing/darknet.h"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/darknet_file.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/importing/import_state.h"
#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// 4 + 4 + 4 + 4 + 4*3*3*3 = 124 values, then 16 + 4*3*3 = 52, then 2 + 8 = 10.
constexpr const char* kCfg =
    "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nbackbone=1\n"
    "[convolutional]\nfilters=2\nsize=1\nfeature=linear\nfeature_idx=0\n";

class Darknet : public ::testing::Test {
 protected:
  static State file(int64_t values) {
    return {{kDarknetValues, torch::arange(values, torch::kFloat)}};
  }

  std::string complaint_about(const State& values) const {
    return message_of<Error>([&] { name_darknet_values(graph_, values, false); });
  }

  const Graph graph_ = parse_cfg(kCfg, "net.cfg", {8, 8});
};

TEST_F(Darknet, ValuesGoToTheirLayersInTheOrderOfTheSections) {
  const auto imported = import_state(graph_, file(186), {});
  EXPECT_EQ(imported.source->name, "darknet");
  EXPECT_TRUE(imported.report.complete()) << describe(imported.report);
  std::map<std::string, torch::Tensor> tensors(imported.tensors.begin(), imported.tensors.end());
  const std::map<std::string, std::pair<int, int>> ranges = {
      {"backbone.0.bn.bias", {0, 4}},
      {"backbone.0.bn.weight", {4, 8}},
      {"backbone.0.bn.running_mean", {8, 12}},
      {"backbone.0.bn.running_var", {12, 16}},
      {"backbone.0.weight", {16, 124}},
      {"backbone.2.bn.bias", {124, 128}},
      {"backbone.2.bn.weight", {128, 132}},
      {"backbone.2.bn.running_mean", {132, 136}},
      {"backbone.2.bn.running_var", {136, 140}},
      {"backbone.2.weight", {140, 176}},
      {"backbone.3.bias", {176, 178}},
      {"backbone.3.weight", {178, 186}},
  };
  for (const auto& [name, range] : ranges) {
    const auto expected = torch::arange(range.first, range.second, torch::kFloat);
    EXPECT_TRUE(torch::equal(tensors.at(name).flatten(), expected)) << name;
  }
  EXPECT_THAT(tensors.at("backbone.0.weight").sizes(), ElementsAre(4, 3, 3, 3));
  EXPECT_THAT(tensors.at("backbone.2.weight").sizes(), ElementsAre(4, 1, 3, 3));
}

TEST_F(Darknet, AFileOfTheFirstLayersLacksTheOthers) {
  const auto imported = import_state(graph_, file(176), {});
  EXPECT_THAT(imported.report.missing, ElementsAre("backbone.3.weight (backbone.3.weight)",
                                                   "backbone.3.bias (backbone.3.bias)"));
  ImportOptions backbone;
  backbone.backbone_only = true;
  EXPECT_TRUE(import_state(graph_, file(176), backbone).report.complete());
  EXPECT_TRUE(import_state(graph_, file(1000), backbone).report.complete());
}

TEST_F(Darknet, AFileOfAnotherCfgIsRefusedInASentence) {
  EXPECT_THAT(complaint_about(file(170)), HasSubstr("net.cfg:10: backbone.2"));
  EXPECT_THAT(complaint_about(file(170)), HasSubstr("30 more values, 36 were expected"));
  EXPECT_THAT(complaint_about(file(190)), HasSubstr("4 values are left"));
  auto negative = file(186);
  negative[0].second[13] = -1;
  EXPECT_THAT(complaint_about(negative), HasSubstr("the running variance reaches from -1 to 15"));
}

}  // namespace
}  // namespace ssdq::testing
