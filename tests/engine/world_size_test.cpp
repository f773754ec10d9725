#include "ssdq/engine/world_size.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace ssdq {
namespace {

Config for_eight_ranks() {
  Config config;
  SolverConfig& solver = config.solver;
  solver.reference_world_size = 8;
  solver.batch_size = 4;
  solver.lr = 0.08;
  solver.max_iter = 1000;
  solver.lr_steps = {600, 801};
  solver.warmup_iters = 50;
  solver.checkpoint_period = 100;
  solver.log_period = 10;
  config.test.eval_period = 200;
  config.prune.sr_warmup_iters = 30;
  config.quantization.start_iter = 100;
  config.quantization.freeze_bn_iter = 900;
  config.quantization.progressive = {{0, 8, 8}, {500, 4, 4}};
  return config;
}

TEST(ForWorldSize, KeepsImagesPerRankAndTheNumberOfImagesSeen) {
  const Config config = for_world_size(for_eight_ranks(), 2);
  const SolverConfig& solver = config.solver;
  EXPECT_EQ(solver.batch_size, 4);
  EXPECT_DOUBLE_EQ(solver.lr, 0.02);
  EXPECT_EQ(solver.max_iter, 4000);
  EXPECT_EQ(solver.lr_steps, (std::vector<int64_t>{2400, 3204}));
  EXPECT_EQ(solver.warmup_iters, 200);
  EXPECT_EQ(solver.checkpoint_period, 400);
  EXPECT_EQ(solver.log_period, 10);
  EXPECT_EQ(config.test.eval_period, 800);
  EXPECT_EQ(config.prune.sr_warmup_iters, 120);
  EXPECT_EQ(config.quantization.start_iter, 400);
  EXPECT_EQ(config.quantization.freeze_bn_iter, 3600);
  EXPECT_EQ(config.quantization.progressive, (std::vector<WidthStage>{{0, 8, 8}, {2000, 4, 4}}));
}

TEST(ForWorldSize, RoundsAndKeepsWhatIsOffOff) {
  Config given = for_eight_ranks();
  given.solver.warmup_iters = 1;
  given.solver.lr_steps = {603};
  given.test.eval_period = 0;
  given.quantization.stop_observing_iter = -1;
  const Config config = for_world_size(given, 32);
  EXPECT_DOUBLE_EQ(config.solver.lr, 0.32);
  EXPECT_EQ(config.solver.lr_steps, std::vector<int64_t>{151});
  EXPECT_EQ(config.solver.warmup_iters, 1);
  EXPECT_EQ(config.test.eval_period, 0);
  EXPECT_EQ(config.quantization.stop_observing_iter, -1);
}

TEST(ForWorldSize, HasNoEffectTwiceNorWithoutAReference) {
  const Config once = for_world_size(for_eight_ranks(), 2);
  EXPECT_EQ(for_world_size(once, 2).solver.max_iter, once.solver.max_iter);
  EXPECT_DOUBLE_EQ(for_world_size(once, 8).solver.lr, 0.08);

  Config any = for_eight_ranks();
  any.solver.reference_world_size = 0;
  EXPECT_DOUBLE_EQ(for_world_size(any, 2).solver.lr, 0.08);
  EXPECT_EQ(for_world_size(any, 2).solver.max_iter, 1000);
}

TEST(IterationsIn, CountAsManyImagesOnOtherRanks) {
  const Config alone = for_world_size(for_eight_ranks(), 1);
  const Config four = for_world_size(for_eight_ranks(), 4);
  EXPECT_EQ(iterations_in(four, alone, 1000), 250);
  EXPECT_EQ(iterations_in(alone, four, 250), 1000);
  EXPECT_EQ(iterations_in(four, for_world_size(for_eight_ranks(), 3), 10), 8);
  EXPECT_EQ(iterations_in(four, four, 7), 7);
  EXPECT_EQ(iterations_in(four, alone, alone.solver.max_iter), four.solver.max_iter);
}

TEST(IterationsIn, AreTheSameWithoutAReference) {
  Config any = for_eight_ranks();
  any.solver.reference_world_size = 0;
  EXPECT_EQ(iterations_in(for_eight_ranks(), any, 10), 10);
  EXPECT_EQ(iterations_in(any, for_eight_ranks(), 10), 10);
}

}  // namespace
}  // namespace ssdq
