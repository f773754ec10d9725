#include "ssdq/solver/lr_schedule.h"

#include <gtest/gtest.h>

namespace ssdq {
namespace {

SolverConfig schedule() {
  SolverConfig solver;
  solver.max_iter = 110;
  solver.warmup_iters = 10;
  solver.warmup_factor = 0.2;
  solver.lr_steps = {50, 80};
  solver.gamma = 0.1;
  return solver;
}

TEST(LrFactor, WarmsUpLinearlyThenFallsAtEachStep) {
  const SolverConfig solver = schedule();
  EXPECT_DOUBLE_EQ(lr_factor(0, solver), 0.2);
  EXPECT_DOUBLE_EQ(lr_factor(5, solver), 0.6);  // 0.2 * 0.5 + 0.5
  EXPECT_DOUBLE_EQ(lr_factor(10, solver), 1);
  EXPECT_DOUBLE_EQ(lr_factor(49, solver), 1);
  EXPECT_DOUBLE_EQ(lr_factor(50, solver), 0.1);
  EXPECT_DOUBLE_EQ(lr_factor(80, solver), 0.1 * 0.1);
}

TEST(LrFactor, CosineRunsFromWarmUpToTheLastIteration) {
  SolverConfig solver = schedule();
  solver.schedule = "cosine";
  EXPECT_DOUBLE_EQ(lr_factor(5, solver), 0.6);
  EXPECT_DOUBLE_EQ(lr_factor(10, solver), 1);
  EXPECT_NEAR(lr_factor(60, solver), 0.5, 1e-12);
  EXPECT_NEAR(lr_factor(110, solver), 0, 1e-12);
  EXPECT_NEAR(lr_factor(500, solver), 0, 1e-12);
}

TEST(LrFactor, NoWarmUpStartsAtTheFullRate) {
  SolverConfig solver = schedule();
  solver.warmup_iters = 0;
  EXPECT_DOUBLE_EQ(lr_factor(0, solver), 1);
}

}  // namespace
}  // namespace ssdq
