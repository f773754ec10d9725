#include "ssdq/distributed/gradient_reducer.h"

#include <algorithm>
#include <chrono>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

torch::ScalarType travel_type(const torch::Tensor& parameter, bool bfloat16) {
  const auto type = parameter.scalar_type();
  return bfloat16 && type == torch::kFloat ? torch::kBFloat16 : type;
}

}  // namespace

// A parameter's place in a bucket.
struct GradientReducer::Slot {
  std::string name;
  torch::Tensor parameter;
  torch::Tensor values;  // view into the bucket, of the parameter's shape
  bool arrived = false;
  Bucket* bucket = nullptr;
  std::shared_ptr<torch::autograd::Node> accumulator;  // lives as long as its hook
  uintptr_t hook = 0;
};

struct GradientReducer::Bucket {
  // The slots' values, then a number for each slot: how many ranks have a gradient.
  torch::Tensor flat;
  std::vector<std::unique_ptr<Slot>> slots;
  size_t missing = 0;
  std::unique_ptr<PendingCall> call;

  bool is_like(const torch::Tensor& parameter) const {
    const torch::Tensor& other = slots.front()->parameter;
    return other.scalar_type() == parameter.scalar_type() && other.device() == parameter.device();
  }

  int64_t numbers() const {
    int64_t total = 0;
    for (const auto& slot : slots) {
      total += slot->parameter.numel();
    }
    return total;
  }

  void allocate(bool bfloat16) {
    const torch::Tensor& first = slots.front()->parameter;
    int64_t at = 0;
    flat = torch::zeros({numbers() + static_cast<int64_t>(slots.size())},
                        torch::dtype(travel_type(first, bfloat16)).device(first.device()));
    for (const auto& slot : slots) {
      const int64_t count = slot->parameter.numel();
      slot->values = flat.narrow(0, at, count).view(slot->parameter.sizes());
      slot->bucket = this;
      at += count;
    }
    missing = slots.size();
  }

  torch::Tensor used() const {
    const auto flags = static_cast<int64_t>(slots.size());
    return flat.narrow(0, flat.numel() - flags, flags);
  }
};

class GradientReducer::Hook : public torch::autograd::FunctionPostHook {
 public:
  Hook(GradientReducer& reducer, Slot& slot) : reducer_(reducer), slot_(slot) {}

  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    reducer_.arrived(slot_);
    return outputs;
  }

 private:
  GradientReducer& reducer_;
  Slot& slot_;
};

GradientReducer::GradientReducer(const NamedParameters& parameters, ProcessGroup& group,
                                 const ReducerOptions& options)
    : group_(group) {
  for (auto named = parameters.rbegin(); named != parameters.rend(); ++named) {
    const auto& [name, parameter] = *named;
    if (!parameter.requires_grad()) {
      continue;
    }
    Slot& slot = *bucket_for(parameter, options).slots.emplace_back(std::make_unique<Slot>());
    slot.name = name;
    slot.parameter = parameter;
  }
  for (const auto& bucket : buckets_) {
    bucket->allocate(options.bfloat16);
  }
  add_hooks();
}

// The last one of its type, or a new one if that is full.
GradientReducer::Bucket& GradientReducer::bucket_for(const torch::Tensor& parameter,
                                                     const ReducerOptions& options) {
  const size_t bytes = c10::elementSize(travel_type(parameter, options.bfloat16));
  const int64_t capacity = options.bucket_bytes / static_cast<int64_t>(bytes);
  const auto last = std::find_if(buckets_.rbegin(), buckets_.rend(),
                                 [&](const auto& bucket) { return bucket->is_like(parameter); });
  const bool fits = last != buckets_.rend() && (*last)->numbers() + parameter.numel() <= capacity;
  return fits ? **last : *buckets_.emplace_back(std::make_unique<Bucket>());
}

void GradientReducer::add_hooks() {
  for (const auto& bucket : buckets_) {
    for (const auto& slot : bucket->slots) {
      slot->accumulator = torch::autograd::impl::grad_accumulator(slot->parameter);
      slot->hook = slot->accumulator->add_post_hook(std::make_unique<Hook>(*this, *slot));
    }
  }
}

GradientReducer::~GradientReducer() {
  for (const auto& bucket : buckets_) {
    for (const auto& slot : bucket->slots) {
      slot->accumulator->del_post_hook(slot->hook);
    }
  }
}

void GradientReducer::arrived(Slot& slot) {
  SSDQ_CHECK(!slot.arrived,
             "the gradient of '{}' came a second time before the ranks' gradients were brought "
             "together: call finish() after each backward()",
             slot.name);
  const torch::NoGradGuard no_grad;
  slot.arrived = true;
  slot.values.copy_(slot.parameter.grad());
  if (--slot.bucket->missing == 0) {
    start_full();
  }
}

void GradientReducer::start_full() {
  while (started_ < buckets_.size() && buckets_[started_]->missing == 0) {
    start(*buckets_[started_]);
  }
}

void GradientReducer::start(Bucket& bucket) {
  if (started_++ == 0) {
    first_start_ = now();
  }
  if (bucket.missing == 0) {
    bucket.used().fill_(1);  // a copy from the CPU would make a GPU wait
  } else {
    std::vector<float> used;
    for (const auto& slot : bucket.slots) {
      used.push_back(slot->arrived ? 1.F : 0.F);
    }
    bucket.used().copy_(torch::tensor(used));
  }
  bucket.call = group_.all_reduce(bucket.flat);
}

void GradientReducer::finish() {
  const torch::NoGradGuard no_grad;
  for (size_t i = started_; i < buckets_.size(); ++i) {
    for (const auto& slot : buckets_[i]->slots) {
      if (!slot->arrived) {
        slot->values.zero_();
      }
    }
    start(*buckets_[i]);
  }
  const double begin = now();
  for (const auto& bucket : buckets_) {
    bucket->call->wait();
  }
  const double end = now();
  for (const auto& bucket : buckets_) {
    take(*bucket);
  }
  statistics_ = {bytes_per_step(), end - begin, buckets_.empty() ? 0 : end - first_start_};
  started_ = 0;
}

void GradientReducer::take(Bucket& bucket) {
  // What came here is in use; asking about the rest would make a GPU wait.
  const torch::Tensor used =
      bucket.missing == 0 ? torch::Tensor() : bucket.used().to(torch::kCPU, torch::kFloat);
  for (size_t i = 0; i < bucket.slots.size(); ++i) {
    Slot& slot = *bucket.slots[i];
    slot.arrived = false;
    if (used.defined() && used.data_ptr<float>()[i] == 0) {
      continue;
    }
    torch::Tensor& gradient = slot.parameter.mutable_grad();
    if (!gradient.defined()) {
      gradient = torch::empty_like(slot.parameter);
    }
    gradient.copy_(slot.values);
  }
  bucket.missing = bucket.slots.size();
  bucket.call.reset();
}

int64_t GradientReducer::bytes_per_step() const {
  int64_t total = 0;
  for (const auto& bucket : buckets_) {
    total += static_cast<int64_t>(bucket->flat.nbytes());
  }
  return total;
}

}  // namespace ssdq
