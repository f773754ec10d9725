#include "ssdq/engine/trainer.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using testing::ElementsAre;

using Log = std::vector<std::string>;

class RecordingHook : public Hook {
 public:
  RecordingHook(std::string name, Log& log) : name_(std::move(name)), log_(log) {}

  std::string name() const override { return name_; }
  void before_train(Trainer&) override { log_.push_back(name_ + " before_train"); }
  void before_step(Trainer& trainer) override { log_.push_back(name_ + " before " + at(trainer)); }
  void after_backward(Trainer& trainer) override {
    log_.push_back(name_ + " backward " + at(trainer));
  }
  void after_step(Trainer& trainer) override { log_.push_back(name_ + " after " + at(trainer)); }
  void after_train(Trainer& trainer) override {
    log_.push_back(name_ + (trainer.finished() ? " finished" : " cut short"));
  }

 private:
  static std::string at(const Trainer& trainer) { return std::to_string(trainer.iteration()); }

  std::string name_;
  Log& log_;
};

class FakeTrainer : public Trainer {
 public:
  explicit FakeTrainer(Log& log) : log_(log) {}

  int64_t fail_at = -1;
  int64_t stop_at = -1;

 protected:
  void run_step() override {
    log_.push_back("step " + std::to_string(iteration()));
    SSDQ_CHECK(iteration() != fail_at, "step {} failed", iteration());
    if (iteration() == stop_at) {
      request_stop();
    }
    after_backward();
  }

 private:
  Log& log_;
};

class TrainerTest : public testing::Test {
 protected:
  void add(const std::string& name) {
    trainer.add_hook(std::make_unique<RecordingHook>(name, log));
  }

  Log log;
  FakeTrainer trainer{log};
};

TEST_F(TrainerTest, RunsHooksInTheOrderAddedAroundEachStep) {
  add("a");
  add("b");
  trainer.train(4, 5);
  EXPECT_THAT(log, ElementsAre("a before_train", "b before_train", "a before 4", "b before 4",
                               "step 4", "a backward 4", "b backward 4", "a after 4", "b after 4",
                               "a finished", "b finished"));
}

TEST_F(TrainerTest, RunsExactlyTheIterationsFromStartToEnd) {
  trainer.train(3, 6);
  EXPECT_THAT(log, ElementsAre("step 3", "step 4", "step 5"));
  EXPECT_EQ(trainer.iteration(), 6);
}

TEST_F(TrainerTest, RefusesTwoHooksOfOneName) {
  add("a");
  EXPECT_THROW(add("a"), Error);
}

TEST_F(TrainerTest, EndsHooksAfterAFailureAndPassesTheFirstErrorOn) {
  class FailingHook : public Hook {
   public:
    std::string name() const override { return "failing"; }
    void after_train(Trainer&) override { throw Error("second"); }
  };
  trainer.add_hook(std::make_unique<FailingHook>());
  add("a");
  trainer.fail_at = 1;
  try {
    trainer.train(0, 3);
    FAIL() << "expected Error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "step 1 failed");
  }
  EXPECT_EQ(log.back(), "a cut short");
  EXPECT_TRUE(trainer.failed());
}

TEST_F(TrainerTest, StopsAfterTheRunningStepWhenAsked) {
  add("a");
  trainer.stop_at = 1;
  trainer.train(0, 5);
  EXPECT_EQ(trainer.iteration(), 2);
  EXPECT_FALSE(trainer.finished());
  EXPECT_FALSE(trainer.failed());
  EXPECT_EQ(log.back(), "a cut short");
}

}  // namespace
}  // namespace ssdq
