#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/engine/hooks/checkpoints.h"
#include "ssdq/engine/hooks/evaluation.h"
#include "ssdq/engine/hooks/lr_scheduler.h"
#include "ssdq/engine/hooks/periodic_writer.h"
#include "ssdq/engine/trainer.h"

namespace ssdq {
namespace {

using testing::ElementsAre;

class IdleTrainer : public Trainer {
 protected:
  void run_step() override { events().put("loss", static_cast<double>(iteration())); }
};

TEST(LrScheduler, SetsTheRateOfTheIterationThatRuns) {
  SolverConfig solver;
  solver.lr = 1.0;
  solver.warmup_iters = 0;
  solver.lr_steps = {2};
  solver.gamma = 0.1;
  auto parameter = torch::zeros({1}, torch::requires_grad());
  auto optimizer = std::make_shared<torch::optim::SGD>(std::vector<torch::Tensor>{parameter}, 5.0);
  std::vector<double> rates;
  class Probe : public Hook {
   public:
    Probe(std::vector<double>& rates, torch::optim::SGD& sgd) : rates_(rates), sgd_(sgd) {}
    std::string name() const override { return "probe"; }
    void after_step(Trainer&) override {
      rates_.push_back(sgd_.param_groups()[0].options().get_lr());
    }

   private:
    std::vector<double>& rates_;
    torch::optim::SGD& sgd_;
  };
  IdleTrainer trainer;
  trainer.add_hook(std::make_unique<LrScheduler>(solver, optimizer));
  trainer.add_hook(std::make_unique<Probe>(rates, *optimizer));
  trainer.train(0, 4);
  EXPECT_THAT(rates, ElementsAre(1.0, 1.0, testing::DoubleEq(0.1), testing::DoubleEq(0.1)));
}

std::vector<int64_t> evaluated_iterations(int64_t period, int64_t start, int64_t end) {
  std::vector<int64_t> iterations;
  IdleTrainer trainer;
  trainer.add_hook(std::make_unique<EvalHook>(period, [&](Trainer& at) {
    iterations.push_back(at.iteration());
    return EvalHook::Metrics{{"eval/mAP", 0.5}};
  }));
  trainer.train(start, end);
  return iterations;
}

TEST(EvalHook, EvaluatesAfterEachPeriodAndOnceAtTheEnd) {
  EXPECT_THAT(evaluated_iterations(3, 0, 8), ElementsAre(2, 5, 7));
  EXPECT_THAT(evaluated_iterations(4, 0, 8), ElementsAre(3, 7));
  EXPECT_THAT(evaluated_iterations(0, 0, 8), ElementsAre(7));
  EXPECT_THAT(evaluated_iterations(3, 4, 8), ElementsAre(5, 7));
}

TEST(BestCheckpoint, KeepsTheCheckpointOfTheHighestValue) {
  const auto dir = std::filesystem::temp_directory_path() / "ssdq_best_checkpoint_test";
  std::filesystem::remove_all(dir);
  const auto make = [&](Trainer&, int64_t iterations) {
    Checkpoint checkpoint;
    checkpoint.model = {{"w", torch::zeros({1})}};
    checkpoint.iteration = iterations;
    return checkpoint;
  };
  const std::vector<double> values = {0.3, 0.2, 0.5, 0.5, 0.4};
  IdleTrainer trainer;
  trainer.add_hook(std::make_unique<EvalHook>(1, [&](Trainer& at) {
    return EvalHook::Metrics{{"eval/mAP", values[static_cast<size_t>(at.iteration())]}};
  }));
  trainer.add_hook(std::make_unique<BestCheckpoint>(std::make_shared<Checkpointer>(dir.string(), 2),
                                                    make, "eval/mAP"));
  trainer.train(0, 5);
  const auto best = load_checkpoint((dir / "model_best.safetensors").string());
  EXPECT_EQ(best.iteration, 3);
  std::filesystem::remove_all(dir);
}

TEST(PeriodicWriter, WritesEveryPeriodAndTheLastIterationAndClosesAtTheEnd) {
  struct Seen {
    std::vector<double> losses;
    int closed = 0;
  } seen;
  class Recorder : public EventWriter {
   public:
    explicit Recorder(Seen& into) : seen_(into) {}
    void write(const EventStorage& events) override {
      seen_.losses.push_back(*events.latest("loss"));
    }
    void close() override { ++seen_.closed; }

   private:
    Seen& seen_;
  };
  std::vector<std::unique_ptr<EventWriter>> writers;
  writers.push_back(std::make_unique<Recorder>(seen));
  IdleTrainer trainer;
  trainer.add_hook(std::make_unique<PeriodicWriter>(std::move(writers), 3));
  trainer.train(0, 7);
  EXPECT_THAT(seen.losses, ElementsAre(2, 5, 6));
  EXPECT_EQ(seen.closed, 1);
}

}  // namespace
}  // namespace ssdq
