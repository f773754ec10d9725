#include "ssdq/engine/hooks/quantization_schedule.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "fake_quantizer.h"
#include "ssdq/engine/trainer.h"
#include "ssdq/solver/optimizer.h"
#include "ssdq/solver/optimizer_state.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using testing::FakeQuantizer;

TensorSpec spec_of(int bits) {
  TensorSpec spec;
  spec.bits = bits;
  return spec;
}

struct Network : torch::nn::Module {
  Network(int wbits, int abits)
      : weight(std::make_shared<FakeQuantizer>(spec_of(wbits))),
        input(std::make_shared<FakeQuantizer>(spec_of(abits))) {
    register_module("weight_quantizer", weight);
    register_module("input_quantizer", input);
    register_module("bn", bn);
  }
  std::shared_ptr<FakeQuantizer> weight, input;
  torch::nn::BatchNorm2d bn{2};
};

// A training step of the network, in training mode as the detection trainer's.
class TinyTrainer : public Trainer {
 public:
  TinyTrainer(std::shared_ptr<Network> network, std::shared_ptr<torch::optim::Optimizer> optimizer)
      : network_(std::move(network)), optimizer_(std::move(optimizer)) {}

  std::function<void()> at_step = [] {};

 protected:
  void prepare_step() override { network_->train(); }
  void run_step() override {
    at_step();
    optimizer_->zero_grad();
    torch::manual_seed(static_cast<uint64_t>(iteration()));
    const torch::Tensor x = network_->input->forward(torch::randn({2, 2, 3, 3}));
    network_->bn->forward(x * network_->weight->forward(torch::ones({1})))
        .square()
        .sum()
        .backward();
    optimizer_->step();
  }

 private:
  std::shared_ptr<Network> network_;
  std::shared_ptr<torch::optim::Optimizer> optimizer_;
};

class QuantizationScheduleTest : public ::testing::Test {
 protected:
  void make(int wbits, int abits) {
    config.wbits = wbits;
    config.abits = abits;
    network = std::make_shared<Network>(wbits, abits);
    optimizer = make_optimizer(*network, SolverConfig{});
    schedule = std::make_shared<QuantizationSchedule>(*network, config);
    ema = std::make_shared<Ema>(network, 0.999);
    trainer = std::make_unique<TinyTrainer>(network, optimizer);
    trainer->add_hook(std::make_unique<QuantizationScheduleHook>(schedule, optimizer, ema));
  }

  // What `see` returns at each step from `start` to `end`.
  template <typename T>
  std::vector<T> during(int64_t start, int64_t end, std::function<T()> see) {
    std::vector<T> seen;
    trainer->at_step = [&] { seen.push_back(see()); };
    trainer->train(start, end);
    return seen;
  }

  QuantizationConfig config;
  std::shared_ptr<Network> network;
  std::shared_ptr<torch::optim::Optimizer> optimizer;
  std::shared_ptr<QuantizationSchedule> schedule;
  std::shared_ptr<Ema> ema;
  std::unique_ptr<TinyTrainer> trainer;
};

TEST_F(QuantizationScheduleTest, QuantizesFromTheStartAndObservesToTheEndByDefault) {
  make(4, 4);
  EXPECT_THAT(during<bool>(0, 3, [&] { return network->input->mode().quantize; }),
              ElementsAre(true, true, true));
  EXPECT_EQ(network->input->observed.item<int64_t>(), 3);
  EXPECT_THAT(network->input->widths, ElementsAre());
}

TEST_F(QuantizationScheduleTest, ObservesOnlyUntilTheStart) {
  config.start_iter = 2;
  make(4, 4);
  EXPECT_THAT(during<bool>(0, 4, [&] { return network->weight->mode().quantize; }),
              ElementsAre(false, false, true, true));
  EXPECT_EQ(network->weight->observed.item<int64_t>(), 4);
}

TEST_F(QuantizationScheduleTest, StopsObserving) {
  config.stop_observing_iter = 3;
  make(4, 4);
  trainer->train(0, 5);
  EXPECT_EQ(network->input->observed.item<int64_t>(), 3);
}

TEST_F(QuantizationScheduleTest, FreezesBatchNormStatisticsAndGoesOnToTrainItsScale) {
  config.freeze_bn_iter = 2;
  make(4, 4);
  trainer->train(0, 2);
  const torch::Tensor mean = network->bn->running_mean.clone();
  const torch::Tensor scale = network->bn->weight.detach().clone();
  trainer->train(2, 3);
  network->eval();  // as an evaluation between steps does
  trainer->train(3, 4);
  EXPECT_TRUE(torch::equal(network->bn->running_mean, mean));
  EXPECT_FALSE(torch::equal(network->bn->weight, scale));
  EXPECT_EQ(network->bn->num_batches_tracked.item<int64_t>(), 2);
}

TEST_F(QuantizationScheduleTest, NarrowsEachQuantizerToItsOwnWidthAndNotBelow) {
  config.progressive = {{0, 8, 8}, {1, 6, 7}, {3, 4, 4}};
  make(4, 4);
  EXPECT_THAT(during<int>(0, 5, [&] { return network->weight->spec().bits; }),
              ElementsAre(8, 6, 6, 4, 4));
  EXPECT_THAT(network->input->widths, ElementsAre(8, 7, 4));
  config.progressive = {{0, 4, 4}, {1, 2, 2}};
  config.wbits = config.abits = 2;
  const auto wide = std::make_shared<Network>(3, 8);
  QuantizationSchedule own(*wide, config);
  own.set_widths(0);
  EXPECT_EQ(wide->weight->spec().bits, 4);
  EXPECT_EQ(wide->input->spec().bits, 8);
  own.set_widths(1);
  EXPECT_EQ(wide->weight->spec().bits, 3);
  EXPECT_EQ(wide->input->spec().bits, 8);
}

TEST_F(QuantizationScheduleTest, WidthsAreThoseOfTheIterationWhereverTrainingGoesOn) {
  config.progressive = {{0, 8, 8}, {2, 6, 6}, {4, 4, 4}};
  make(4, 4);
  EXPECT_THAT(during<int>(3, 6, [&] { return network->input->spec().bits; }), ElementsAre(6, 4, 4));
}

TEST_F(QuantizationScheduleTest, AStageOf32BitsKeepsItsTensorsFloat) {
  config.progressive = {{0, 8, 32}, {1, 4, 4}};
  make(4, 4);
  EXPECT_THAT(during<bool>(0, 2, [&] { return network->input->mode().quantize; }),
              ElementsAre(false, true));
  EXPECT_THAT(network->input->widths, ElementsAre());
  EXPECT_THAT(network->weight->widths, ElementsAre(8, 4));
}

TEST_F(QuantizationScheduleTest, ForgetsTheMomentumOfAQuantizerWhoseWidthChanges) {
  config.progressive = {{0, 4, 8}, {2, 4, 4}};
  make(4, 4);
  const auto names = [&] {
    std::string text;
    for (const auto& entry : optimizer_state(*optimizer, *network)) {
      text += entry.first.substr(0, entry.first.find('.')) + " ";
    }
    return text;
  };
  EXPECT_THAT(
      during<std::string>(0, 3, names),
      ElementsAre("", "weight_quantizer input_quantizer bn bn ", "weight_quantizer bn bn "));
}

TEST_F(QuantizationScheduleTest, StartsTheAveragesOfAChangedQuantizerAgain) {
  config.progressive = {{0, 8, 8}, {1, 4, 4}};
  make(4, 4);
  const auto units = during<float>(0, 2, [&] {
    const EmaScope averages(*ema);
    return network->input->unit.item<float>();
  });
  EXPECT_THAT(units, ElementsAre(1.0F / 256, 1.0F / 16));
}

TEST_F(QuantizationScheduleTest, RefusesStagesThatEndTooWide) {
  config.progressive = {{0, 8, 8}, {10, 6, 6}};
  try {
    make(4, 4);
    FAIL() << "expected ConfigError";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "QUANTIZATION.PROGRESSIVE ends at 6/6 bits, but WBITS/ABITS are 4/4; add a last "
                 "entry");
  }
}

TEST_F(QuantizationScheduleTest, IsFinalOnceItQuantizesWithTheLastWidths) {
  config.start_iter = 2;
  make(4, 4);
  EXPECT_FALSE(schedule->is_final(1));
  EXPECT_TRUE(schedule->is_final(2));
  config.progressive = {{0, 8, 8}, {5, 4, 4}};
  make(4, 4);
  EXPECT_FALSE(schedule->is_final(4));
  EXPECT_TRUE(schedule->is_final(5));
}

TEST(QuantizersOf, FindsThemWithTheirRolesAndOwnersOfTheirTensors) {
  const auto outer = std::make_shared<torch::nn::Module>();
  outer->register_module("block", std::make_shared<Network>(4, 8));
  const auto found = quantizers_of(*outer);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(found[0].name == "block.weight_quantizer" && found[0].is_weight);
  EXPECT_TRUE(found[1].name == "block.input_quantizer" && !found[1].is_weight);
  const auto owners = owners_of(*outer, {"block.input_quantizer.largest", "block.bn.weight"});
  ASSERT_EQ(owners.size(), 1U);
  EXPECT_EQ(owners[0].quantizer, found[1].quantizer);
}

}  // namespace
}  // namespace ssdq
