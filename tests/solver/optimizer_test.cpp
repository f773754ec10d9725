#include "ssdq/solver/optimizer.h"

#include <string>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/quantization/quantizer.h"
#include "ssdq/solver/optimizer_state.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

torch::nn::Sequential make_network(uint64_t seed) {
  torch::manual_seed(seed);
  return torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(2, 4, 3)),
                               torch::nn::BatchNorm2d(4),
                               torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 3, 1)));
}

void train(torch::nn::Sequential& network, torch::optim::Optimizer& optimizer, int from, int to) {
  for (int i = from; i < to; ++i) {
    torch::manual_seed(100 + static_cast<uint64_t>(i));
    optimizer.zero_grad();
    network->forward(torch::randn({2, 2, 6, 6})).square().sum().backward();
    optimizer.step();
  }
}

class OptimizerTypes : public ::testing::TestWithParam<const char*> {};

TEST_P(OptimizerTypes, StateContinuesAFreshOptimizerBitForBit) {
  SolverConfig solver;
  solver.type = GetParam();
  auto whole = make_network(1);
  auto whole_optimizer = make_optimizer(*whole, solver);
  train(whole, *whole_optimizer, 0, 6);

  auto first = make_network(1);
  auto first_optimizer = make_optimizer(*first, solver);
  train(first, *first_optimizer, 0, 3);
  auto second = make_network(2);
  {
    const torch::NoGradGuard no_grad;
    for (const auto& item : first->named_parameters()) {
      second->named_parameters()[item.key()].copy_(item.value());
    }
    for (const auto& item : first->named_buffers()) {
      second->named_buffers()[item.key()].copy_(item.value());
    }
  }
  auto second_optimizer = make_optimizer(*second, solver);
  const State remembered = optimizer_state(*first_optimizer, *first);
  EXPECT_EQ(remembered.size(), solver.type == "sgd" ? 6U : 18U);
  load_optimizer_state(*second_optimizer, *second, remembered);
  train(second, *second_optimizer, 3, 6);
  for (const auto& item : whole->named_parameters()) {
    EXPECT_TRUE(torch::equal(item.value(), second->named_parameters()[item.key()])) << item.key();
  }
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerTypes, ::testing::Values("sgd", "adamw"));

TEST(LoadOptimizerState, RefusesForeignNamesAndShapes) {
  SolverConfig solver;
  auto network = make_network(1);
  auto optimizer = make_optimizer(*network, solver);
  const auto load = [&](const char* name, const torch::Tensor& tensor) {
    load_optimizer_state(*optimizer, *network, {{name, tensor}});
  };
  EXPECT_THROW(load("7.weight.momentum_buffer", torch::zeros({1})), Error);
  EXPECT_THROW(load("0.weight.exp_avg", torch::zeros({4, 2, 3, 3})), Error);
  EXPECT_THROW(load("0.weight.momentum_buffer", torch::zeros({4})), Error);
}

TEST(MakeOptimizer, KeepsNormsAndBiasesOutOfWeightDecayWhenAsked) {
  SolverConfig solver;
  solver.lr = 0.1;
  solver.weight_decay = 0.5;
  solver.momentum = 0;
  const auto shrinks = [&](const std::string& name) {
    auto network = make_network(3);
    const torch::Tensor parameter = network->named_parameters()[name];
    for (torch::Tensor& p : network->parameters()) {
      p.mutable_grad() = torch::zeros_like(p);
      p.data().fill_(1);
    }
    make_optimizer(*network, solver)->step();
    return parameter.max().item<float>() < 1;
  };
  EXPECT_TRUE(shrinks("0.weight") && shrinks("0.bias") && shrinks("1.weight") && shrinks("1.bias"));
  solver.decay_bias = false;
  EXPECT_TRUE(shrinks("0.weight") && !shrinks("0.bias") && shrinks("1.weight") &&
              shrinks("1.bias"));
  solver.decay_norm = false;
  EXPECT_TRUE(shrinks("0.weight") && !shrinks("0.bias") && !shrinks("1.weight") &&
              !shrinks("1.bias"));
  solver.decay_bias = true;
  EXPECT_TRUE(shrinks("0.bias") && !shrinks("1.weight") && !shrinks("1.bias"));
}

TEST(MakeOptimizer, KeepsNamedParametersOutOfWeightDecay) {
  SolverConfig solver;
  solver.lr = 0.1;
  solver.weight_decay = 0.5;
  auto network = make_network(3);
  for (torch::Tensor& p : network->parameters()) {
    p.mutable_grad() = torch::zeros_like(p);
    p.data().fill_(1);
  }
  make_optimizer(*network, solver, 1, {"1.weight"})->step();
  for (const auto& item : network->named_parameters()) {
    EXPECT_EQ(item.value().max().item<float>() < 1, item.key() != "1.weight") << item.key();
  }
  EXPECT_THROW(make_optimizer(*network, solver, 1, {"1.gamma"}), Error);
}

TEST(MakeOptimizer, RefusesUnknownTypes) {
  SolverConfig solver;
  solver.type = "lion";
  EXPECT_THROW(make_optimizer(*make_network(1), solver), ConfigError);
}

TEST(SetLearningRate, ReachesEveryGroup) {
  SolverConfig solver;
  solver.decay_bias = false;
  auto network = make_network(1);
  auto optimizer = make_optimizer(*network, solver);
  ASSERT_EQ(optimizer->param_groups().size(), 2U);
  set_learning_rate(*optimizer, 0.25);
  for (auto& group : optimizer->param_groups()) {
    EXPECT_DOUBLE_EQ(group.options().get_lr(), 0.25);
  }
}

class LearnedStep : public QuantizerImpl {
 public:
  explicit LearnedStep() : QuantizerImpl(TensorSpec{}) {
    register_parameter("step", torch::full({1}, 2.0));
  }
  QuantizerReport report() const override { return {}; }

 protected:
  torch::Tensor quantize(const torch::Tensor& x) override { return x; }
};

struct NetworkWithQuantizer : torch::nn::Module {
  NetworkWithQuantizer() {
    register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 1, 1)));
    register_module("quantizer", std::make_shared<LearnedStep>());
    for (torch::Tensor& p : parameters()) {
      p.mutable_grad() = torch::ones_like(p);
    }
  }
};

TEST_P(OptimizerTypes, ScaleTheRateOfQuantizersAndDoNotDecayThem) {
  SolverConfig solver;
  solver.type = GetParam();
  solver.weight_decay = 0.5;
  const auto network = std::make_shared<NetworkWithQuantizer>();
  const torch::Tensor step = network->named_parameters()["quantizer.step"];
  const torch::Tensor bias = network->named_parameters()["conv.bias"].data().fill_(0);
  const auto optimizer = make_optimizer(*network, solver, 0.25);
  for (const double rate : {0.0, 0.4}) {
    set_learning_rate(*optimizer, rate);
  }
  optimizer->step();
  // A first step with gradient 1 moves by the rate in SGD and, but for its epsilon, in AdamW.
  EXPECT_NEAR(step.item<double>(), 2 - 0.25 * 0.4, 1e-6);
  EXPECT_NEAR(bias.item<double>(), -0.4, 1e-6);
}

TEST_P(OptimizerTypes, ForgetTheMomentumOfTheParametersAskedForOnly) {
  SolverConfig solver;
  solver.type = GetParam();
  const auto network = std::make_shared<NetworkWithQuantizer>();
  const auto optimizer = make_optimizer(*network, solver, 0.1);
  optimizer->step();
  const size_t all = optimizer_state(*optimizer, *network).size();
  reset_optimizer_state(*optimizer, {network->named_parameters()["quantizer.step"]});
  const State kept = optimizer_state(*optimizer, *network);
  EXPECT_EQ(kept.size() * 3, all * 2);
  for (const auto& entry : kept) {
    EXPECT_EQ(entry.first.find("quantizer"), std::string::npos) << entry.first;
  }
  optimizer->step();
  EXPECT_EQ(optimizer_state(*optimizer, *network).size(), all);
}

TEST(ClipGradients, ScalesToTheLargestNormAndReturnsTheOldOne) {
  torch::Tensor a = torch::zeros({1}).set_requires_grad(true);
  torch::Tensor b = torch::zeros({1}).set_requires_grad(true);
  a.mutable_grad() = torch::full({1}, 3.0);
  b.mutable_grad() = torch::full({1}, 4.0);
  EXPECT_NEAR(clip_gradients({a, b}, 10), 5, 1e-6);
  EXPECT_NEAR(a.grad().item<double>(), 3, 1e-6);
  clip_gradients({a, b}, 1);
  EXPECT_NEAR(a.grad().item<double>(), 0.6, 1e-5);
  EXPECT_NEAR(b.grad().item<double>(), 0.8, 1e-5);
}

}  // namespace
}  // namespace ssdq
