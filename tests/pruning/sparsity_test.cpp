#include "ssdq/pruning/sparsity.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "sparse_network.h"
#include "ssdq/engine/hooks/sparsity.h"
#include "ssdq/engine/trainer.h"
#include "ssdq/pruning/importance.h"
#include "ssdq/pruning/selection.h"
#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

constexpr PruneScope kScopes[] = {PruneScope::kNormal, PruneScope::kShortcut, PruneScope::kAll};

std::vector<std::string> names(const Detector& network, PruneScope scope) {
  std::vector<std::string> result;
  for (const auto& scale : penalised_scales(*network, scope)) {
    result.push_back(scale.first);
  }
  return result;
}

TEST(PenalisedScales, AreThoseOfTheGroupsInScope) {
  const auto network = sparse_network();
  EXPECT_THAT(names(network, PruneScope::kNormal), ElementsAre("backbone.6.bn.weight"));
  EXPECT_THAT(names(network, PruneScope::kShortcut),
              ElementsAre("backbone.0.bn.weight", "backbone.3.bn.weight", "backbone.6.bn.weight"));
  EXPECT_THAT(names(network, PruneScope::kAll),
              ElementsAre("backbone.0.bn.weight", "backbone.1.bn.weight", "backbone.2.bn.weight",
                          "backbone.3.bn.weight", "backbone.6.bn.weight"));
}

TEST(ScaleLayout, TiesTheScalesOfAddsAndDepthwiseConvolutions) {
  const auto network = sparse_network();
  const auto layout =
      scale_layout(*network, PruneScope::kAll, penalised_scales(*network, PruneScope::kAll));
  EXPECT_EQ(layout.count, 4 + 8 + 8 + 4 + 6);
  ASSERT_EQ(layout.units.size(), 4U + 8 + 6);
  EXPECT_THAT(layout.units[1], ElementsAre(1, 21));
  EXPECT_THAT(layout.units[4 + 7], ElementsAre(11, 19));
  EXPECT_THAT(layout.units[4 + 8 + 5], ElementsAre(29));
  ASSERT_EQ(layout.groups.size(), 3U);
  EXPECT_EQ(layout.groups[0].name, "backbone.0 +1");
  EXPECT_EQ(layout.groups[1].name, "backbone.1 +1");
  EXPECT_EQ(layout.groups[2].name, "backbone.6");
  std::set<int64_t> places;
  for (const auto& group : layout.groups) places.insert(group.places.begin(), group.places.end());
  EXPECT_EQ(places.size(), 30U);
}

TEST(SparsityStatus, CutsWherePruningDoes) {
  const auto network = sparse_network();
  const Graph& graph = network->graph();
  const auto units = channel_units(graph);
  for (const auto scope : kScopes) {
    const auto scales = penalised_scales(*network, scope);
    const auto status = sparsity_status(scales, scale_layout(*network, scope, scales));
    const auto groups = groups_in_scope(graph, units, scope);
    auto pruned = groups;  // those with a batch norm, of which alone the status knows
    pruned.erase(std::remove_if(pruned.begin(), pruned.end(),
                                [&](const auto& group) {
                                  return graph.nodes[group.convs[0]].name == "backbone.5";
                                }),
                 pruned.end());
    const auto scores = unit_scores(*network, units, pruned, Importance::kBatchNorm, 0);
    ASSERT_EQ(status.cuts.size(), 3U);
    for (const auto& cut : status.cuts) {
      EXPECT_NEAR(cut.threshold, threshold_at(sorted_scores(pruned, scores), cut.percent / 100.0),
                  1e-12);
      const auto below = (concatenated(scales).abs().to(torch::kFloat64) < cut.threshold).sum();
      EXPECT_EQ(cut.below, below.item<int64_t>());
    }
  }
}

TEST(SparsityStatus, IsNearZeroBelowAHundredthOfTheMean) {
  const PenalisedScales scales = {{"a", torch::tensor({1.0F, -1.0F, 1e-4F})},
                                  {"b", torch::tensor({0.0F, 0.5F})}};
  const ScaleLayout layout{{{0}, {1}, {2}, {3}, {4}}, {{"a", {0, 1, 2}}, {"b", {3, 4}}}, 5};
  const auto status = sparsity_status(scales, layout);
  EXPECT_DOUBLE_EQ(status.near_zero, 0.4);
  EXPECT_EQ(status.cuts[1].percent, 50);
  EXPECT_EQ(status.cuts[1].threshold, 0.5);
  EXPECT_EQ(status.cuts[1].below, 2);
  EXPECT_THROW(sparsity_status({}, ScaleLayout{}), Error);
}

// Gradients are 0 but for what hooks add. Remembers those, and the scalars of each step.
class StepWithGradients : public Trainer {
 public:
  explicit StepWithGradients(torch::Tensor gamma) : gamma_(std::move(gamma)) {}

  std::vector<double> gradients;  // of the first scale, by step

 protected:
  void run_step() override {
    gamma_.mutable_grad() = torch::zeros_like(gamma_);
    after_backward();
    gradients.push_back(gamma_.grad()[0].item<double>());
  }

 private:
  torch::Tensor gamma_;
};

class SparsityHook : public ::testing::Test {
 protected:
  void SetUp() override { gamma.set_requires_grad(true); }

  // Iterations start to end - 1 of a trainer of its own, as after a resume.
  std::unique_ptr<StepWithGradients> train(int64_t start, int64_t end,
                                           const SparsityOptions& options) {
    auto trainer = std::make_unique<StepWithGradients>(gamma);
    const ScaleLayout layout{{{0}, {1}, {2}, {3}}, {{"g", {0, 1}}, {"h", {2, 3}}}, 4};
    trainer->add_hook(std::make_unique<Sparsity>(PenalisedScales{{"g", gamma}}, layout, options));
    trainer->train(start, end);
    return trainer;
  }

  static SparsityOptions options() {
    SparsityOptions made;
    made.rate = {0.25, SparsityRate::Schedule::kLinear, 0, 2, 6};
    made.penalty = l1_penalty();
    made.report_period = 2;
    return made;
  }

  std::vector<std::string> pictures() const {
    std::vector<std::string> found;
    if (std::filesystem::exists(folder / "p")) {
      for (const auto& entry : std::filesystem::directory_iterator(folder / "p")) {
        found.push_back(entry.path().filename().string());
      }
    }
    return found;
  }

  TempFolder folder;
  torch::Tensor gamma = torch::tensor({2.0F, -1.0F, 0.0F, 1.5F});
};

TEST_F(SparsityHook, FollowsTheScheduleAcrossAResume) {
  EXPECT_THAT(train(0, 6, options())->gradients,
              ElementsAre(0, 0.125, 0.25, 0.1875, 0.125, 0.0625));
  EXPECT_THAT(train(3, 6, options())->gradients, ElementsAre(0.1875, 0.125, 0.0625));
}

TEST_F(SparsityHook, ReportsWithItsPeriodAndAtTheEnd) {
  const auto trainer = train(0, 3, options());
  const auto& scalars = trainer->events().scalars();
  EXPECT_EQ(scalars.at("sparsity/near_zero").window.size(), 2U);
  EXPECT_EQ(scalars.at("sparsity/near_zero").value, 0.25);
  EXPECT_EQ(scalars.at("sparsity/threshold_30").value, 1);
  EXPECT_EQ(scalars.at("sparsity/below_70").value, 2);
  EXPECT_THAT(scalars.at("sparsity/rate").window, ElementsAre(0.125, 0.25));
}

TEST_F(SparsityHook, WithoutARateReportsAndLeavesGradientsAlone) {
  auto none = options();
  none.rate.rate = 0;
  const auto trainer = train(0, 3, none);
  EXPECT_THAT(trainer->gradients, ElementsAre(0, 0, 0));
  EXPECT_TRUE(trainer->events().latest("sparsity/near_zero"));
}

TEST_F(SparsityHook, DrawsWithItsPeriodAndAtTheEnd) {
  auto drawing = options();
  drawing.picture_period = 2;
  EXPECT_TRUE(train(0, 5, drawing)->events().images().empty());  // no folder
  drawing.folder = folder / "p";
  const auto trainer = train(0, 5, drawing);
  EXPECT_THAT(pictures(), UnorderedElementsAre("scales_0000002.png", "scales_0000004.png",
                                               "scales_0000005.png"));
  const auto& image = trainer->events().images().at("sparsity/scales");
  EXPECT_EQ(image.png, read_text(folder / "p/scales_0000005.png"));
  EXPECT_EQ(image.width, 720);
  EXPECT_EQ(image.height, 260);
}

TEST_F(SparsityHook, DrawsScalesThatAreAllZeroAndNoneThatAreNotFinite) {
  auto drawing = options();
  drawing.folder = folder / "p";
  const auto fill = [&](float value) {
    const torch::NoGradGuard no_grad;
    gamma.fill_(value);
  };
  fill(0);
  train(0, 1, drawing);
  EXPECT_THAT(pictures(), ElementsAre("scales_0000001.png"));
  fill(std::numeric_limits<float>::quiet_NaN());
  train(0, 2, drawing);
  EXPECT_THAT(pictures(), ElementsAre("scales_0000001.png"));
}

}  // namespace
}  // namespace ssdq::testing
