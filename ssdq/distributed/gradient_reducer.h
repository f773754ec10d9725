#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "ssdq/distributed/process_group.h"

namespace ssdq {

struct ReducerOptions {
  int64_t bucket_bytes = 25 << 20;  // at least one parameter goes into a bucket
  bool bfloat16 = false;            // float gradients travel in half the bytes
};

// Of one backward pass.
struct ReductionStatistics {
  int64_t bytes = 0;         // that this rank contributed
  double waiting = 0;        // s in finish(), for calls under way: not hidden by the backward pass
  double communicating = 0;  // s from the first call's start until the last was over
};

// Sums the gradients of all ranks while the backward pass goes on. Each of a step's backward
// passes is followed by finish(); gradients are then the same on all ranks, and those of one rank
// with all images when the ranks' losses add up to its loss. Every rank must have the same
// parameters in the same order.
//
// Gradients are copied into flat buckets, which hold parameters of one type in reverse order, as
// gradients come; a full bucket is summed once those before it have started, so every rank starts
// the same calls in the same order, in whatever order its gradients come. Calls of others on the
// same group between backward() and finish() must not depend on that order: batch statistics of a
// backward pass need a group of their own.
//
// A parameter that this rank's loss does not depend on counts as zeros; where no rank's does, its
// gradient is left alone. bfloat16: of N ranks' gradients g_r, a sum is off by at most N 2^-8 times
// the sum of |g_r|.
class GradientReducer {
 public:
  using NamedParameters = std::vector<std::pair<std::string, torch::Tensor>>;

  // Of those parameters that require a gradient. `group` must outlive the reducer.
  GradientReducer(const NamedParameters& parameters, ProcessGroup& group,
                  const ReducerOptions& options);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  // Throws Error as PendingCall::wait(). (A gradient that comes a second time before finish() makes
  // backward() throw Error with the parameter's name.)
  void finish();

  const ReductionStatistics& statistics() const { return statistics_; }  // up to the last finish()
  int64_t bytes_per_step() const;
  size_t num_buckets() const { return buckets_.size(); }

 private:
  class Hook;
  struct Slot;
  struct Bucket;

  Bucket& bucket_for(const torch::Tensor& parameter, const ReducerOptions& options);
  void add_hooks();
  void arrived(Slot& slot);
  void start(Bucket& bucket);
  void start_full();
  void take(Bucket& bucket);

  ProcessGroup& group_;
  std::vector<std::unique_ptr<Bucket>> buckets_;
  size_t started_ = 0;  // buckets
  double first_start_ = 0;
  ReductionStatistics statistics_;
};

}  // namespace ssdq
