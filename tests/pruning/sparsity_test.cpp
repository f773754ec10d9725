#include "ssdq/pruning/sparsity.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "random_network.h"
#include "ssdq/engine/hooks/sparsity.h"
#include "ssdq/engine/trainer.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/detector.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;

// A stem, an inverted residual added to it, a last convolution that the heads read.
constexpr const char* kCfg =
    "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
    "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\nactivation=relu6\n"
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n"
    "[convolutional]\nfilters=4\nsize=1\nbatch_normalize=1\n"
    "[shortcut]\nfrom=-4\n"
    "[convolutional]\nfilters=5\nsize=1\nactivation=relu\n"
    "[convolutional]\nfilters=6\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
    "feature=linear\nfeature_idx=0\n";

Detector detector() {
  Graph graph = parse_cfg(kCfg, "net.cfg", {8, 8});
  append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {2}, 3});
  torch::manual_seed(5);
  Detector made(graph, 3, QuantizationMethods{}, QuantizationConfig{});
  testing::randomize(*made);
  return made;
}

std::vector<std::string> names(const Detector& network, PruneScope scope) {
  std::vector<std::string> result;
  for (const auto& scale : penalised_scales(*network, scope)) {
    result.push_back(scale.first);
  }
  return result;
}

TEST(PenalisedScales, AreThoseOfTheGroupsInScope) {
  const auto network = detector();
  EXPECT_THAT(names(network, PruneScope::kNormal), ElementsAre("backbone.6.bn.weight"));
  EXPECT_THAT(names(network, PruneScope::kShortcut),
              ElementsAre("backbone.0.bn.weight", "backbone.3.bn.weight", "backbone.6.bn.weight"));
  EXPECT_THAT(names(network, PruneScope::kAll),
              ElementsAre("backbone.0.bn.weight", "backbone.1.bn.weight", "backbone.2.bn.weight",
                          "backbone.3.bn.weight", "backbone.6.bn.weight"));
}

std::vector<torch::Tensor> gradients(Detector& network) {
  std::vector<torch::Tensor> result;
  for (const auto& parameter : network->parameters()) {
    result.push_back(parameter.grad().clone());
  }
  return result;
}

void backward(Detector& network, const PenalisedScales& penalised, double rate) {
  network->zero_grad();
  torch::manual_seed(8);
  const auto output = network->forward(torch::randn({2, 3, 8, 8}));
  auto loss = output.class_logits.square().mean() + output.box_regression.square().mean();
  for (const auto& scale : penalised) {
    loss = loss + rate * scale.second.abs().sum();
  }
  loss.backward();
}

// The same gradient as autograd's of the loss with the penalty in it, for every parameter.
TEST(AddPenalty, IsTheGradientOfTheL1NormAndTouchesNothingElse) {
  for (const auto scope : {PruneScope::kNormal, PruneScope::kShortcut, PruneScope::kAll}) {
    auto network = detector();
    const auto scales = penalised_scales(*network, scope);
    {
      const torch::NoGradGuard no_grad;
      scales.front().second[1] = -0.75;
    }
    network->eval();
    backward(network, scales, 0.3);
    const auto expected = gradients(network);
    backward(network, {}, 0);
    add_penalty(scales, 0.3);
    const auto found = gradients(network);
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_TRUE(torch::allclose(found[i], expected[i], 1e-5, 1e-7)) << i;
    }
  }
}

TEST(SparsityStatus, CountsWhatIsBelowAHundredthOfTheMean) {
  const PenalisedScales scales = {{"a", torch::tensor({1.0F, -1.0F, 1e-4F})},
                                  {"b", torch::tensor({0.0F, 0.5F})}};
  const auto status = sparsity_status(scales);
  EXPECT_DOUBLE_EQ(status.below, 0.4);
  EXPECT_NEAR(status.middle, 0.5, 1e-7);
}

class StepWithGradients : public Trainer {
 public:
  explicit StepWithGradients(torch::Tensor gamma) : gamma_(std::move(gamma)) {}

 protected:
  void run_step() override {
    gamma_.mutable_grad() = torch::zeros_like(gamma_);
    after_backward();
  }

 private:
  torch::Tensor gamma_;
};

TEST(SparsityHook, ActsOnEachStepAndReportsWithItsPeriod) {
  auto gamma = torch::tensor({2.0F, -1.0F, 0.0F});
  gamma.set_requires_grad(true);
  StepWithGradients trainer(gamma);
  trainer.add_hook(std::make_unique<Sparsity>(PenalisedScales{{"g", gamma}}, 0.25, 3));
  trainer.train(0, 2);
  EXPECT_TRUE(torch::equal(gamma.grad(), torch::tensor({0.25F, -0.25F, 0.0F})));
  EXPECT_FALSE(trainer.events().latest("sparsity/below"));
  trainer.train(2, 3);
  EXPECT_NEAR(*trainer.events().latest("sparsity/below"), 1.0 / 3, 1e-12);
  EXPECT_EQ(*trainer.events().latest("sparsity/middle"), 1);
}

}  // namespace
}  // namespace ssdq
