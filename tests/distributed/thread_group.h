#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/distributed/process_group.h"
#include "ssdq/utils/error.h"

namespace ssdq::testing {

// What the threads of a group share. Call number k of every rank must be the same one.
class Meeting {
 public:
  explicit Meeting(int size) : size_(size) {}

  int size() const { return size_; }

  // Brings call `number` of a rank in; the last to come does the work, in the order of ranks.
  void enter(int64_t number, int rank, const std::string& what, torch::Tensor tensor,
             const std::string& bytes = "") {
    const std::lock_guard<std::mutex> lock(mutex_);
    Call& call = calls_[number];
    if (call.arrived == 0) {
      call.what = what;
      call.tensors.resize(static_cast<size_t>(size_));
      call.texts.resize(static_cast<size_t>(size_));
    }
    if (call.what != what) {
      failure_ =
          fmt::format("call {} is {} on rank {} and {} elsewhere", number, what, rank, call.what);
    }
    call.tensors[static_cast<size_t>(rank)] = std::move(tensor);
    call.texts[static_cast<size_t>(rank)] = bytes;
    if (++call.arrived == size_ && failure_.empty()) {
      work(call);
      call.done = true;
    }
    changed_.notify_all();
  }

  std::vector<std::string> wait(int64_t number) {
    std::unique_lock<std::mutex> lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(60),
                                        [&] { return !failure_.empty() || calls_[number].done; });
    SSDQ_CHECK(came, "call {} ({}) was made by {} of {} ranks", number, calls_[number].what,
               calls_[number].arrived, size_);
    if (!calls_[number].done) {
      throw Error(failure_);
    }
    return calls_[number].texts;
  }

  void give_up(const std::string& why) {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure_ = failure_.empty() ? why : failure_;
    changed_.notify_all();
  }

 private:
  struct Call {
    std::string what;
    std::vector<torch::Tensor> tensors;
    std::vector<std::string> texts;
    int arrived = 0;
    bool done = false;
  };

  static void work(Call& call) {
    const torch::NoGradGuard no_grad;
    if (!call.tensors[0].defined()) {
      return;
    }
    const bool broadcasts = call.what.rfind("broadcast", 0) == 0;
    torch::Tensor result;
    if (broadcasts) {
      result = call.tensors[std::stoul(call.what.substr(10))].clone();
    } else {
      result = call.tensors[0].clone();
      for (size_t i = 1; i < call.tensors.size(); ++i) {
        result.add_(call.tensors[i]);
      }
    }
    for (auto& tensor : call.tensors) {
      tensor.copy_(result);
      tensor.reset();
    }
  }

  int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, Call> calls_;
  std::string failure_;
};

// Ranks that are threads of this process.
class ThreadGroup : public ProcessGroup {
 public:
  ThreadGroup(std::shared_ptr<Meeting> meeting, int rank)
      : meeting_(std::move(meeting)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return meeting_->size(); }

  std::unique_ptr<PendingCall> all_reduce(torch::Tensor tensor) override {
    EXPECT_TRUE(tensor.is_contiguous());
    const int64_t number = next_++;
    meeting_->enter(number, rank_, "sum " + describe(tensor), tensor);
    return std::make_unique<Pending>(*meeting_, number);
  }

  void broadcast(torch::Tensor tensor, int root) override {
    const int64_t number = next_++;
    meeting_->enter(number, rank_, fmt::format("broadcast {} {}", root, describe(tensor)), tensor);
    meeting_->wait(number);
  }

  std::vector<std::string> all_gather(const std::string& bytes) override {
    const int64_t number = next_++;
    meeting_->enter(number, rank_, "all_gather", {}, bytes);
    return meeting_->wait(number);
  }

  void barrier() override { all_gather(""); }

 private:
  class Pending : public PendingCall {
   public:
    Pending(Meeting& meeting, int64_t number) : meeting_(meeting), number_(number) {}
    void wait() override { meeting_.wait(number_); }

   private:
    Meeting& meeting_;
    int64_t number_;
  };

  static std::string describe(const torch::Tensor& tensor) {
    return fmt::format("{} {}", c10::str(tensor.sizes()), c10::toString(tensor.scalar_type()));
  }

  std::shared_ptr<Meeting> meeting_;
  int rank_;
  int64_t next_ = 0;
};

// body(group, other group of the same ranks) on `size` threads; the first exception leaves.
template <typename Body>
void run_ranks(int size, Body body) {
  const auto meeting = std::make_shared<Meeting>(size), other = std::make_shared<Meeting>(size);
  std::exception_ptr first;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      torch::set_num_threads(1);
      try {
        body(std::make_shared<ThreadGroup>(meeting, rank),
             std::make_shared<ThreadGroup>(other, rank));
      } catch (const std::exception& error) {
        const std::lock_guard<std::mutex> lock(mutex);
        first = first ? first : std::current_exception();
        meeting->give_up(error.what());
        other->give_up(error.what());
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  if (first) {
    std::rethrow_exception(first);
  }
}

}  // namespace ssdq::testing
