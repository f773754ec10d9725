#include "ssdq/distributed/process_group.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>

#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "ssdq/distributed/backends.h"
#include "ssdq/distributed/rendezvous.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Over Gloo and MPI, sums of so few ranks and bytes are gathered and added on each rank.
constexpr int kGatherUpTo = 4;
constexpr size_t kSmallBytes = 65536;
constexpr std::chrono::milliseconds kAwake{3};  // while waiting for one of them

// Who is in the group, to say what went wrong in it.
struct Members {
  World world;
  std::vector<Peer> peers;
  double timeout = 0;

  [[noreturn]] void raise(const char* call, const std::string& cause) const {
    auto message = fmt::format("rank {} of {}: {} failed: {}", world.rank, world.size, call,
                               explain_failure(cause, timeout));
    const auto gone =
        peers.empty() ? std::vector<int>() : ranks_gone(peers, this_process(world).host);
    if (!gone.empty()) {
      message += fmt::format("; {} {} ended", list_ranks(gone), gone.size() == 1 ? "has" : "have");
    }
    throw Error(message);
  }

  template <typename Body>
  auto guard(const char* call, const Body& body) const -> decltype(body()) {
    try {
      return body();
    } catch (const c10::Error& error) {
      raise(call, error.what_without_backtrace());
    } catch (const std::exception& error) {
      raise(call, error.what());
    }
  }
};

using MembersPtr = std::shared_ptr<const Members>;

class Finished : public PendingCall {
 public:
  void wait() override {}
};

class PendingWork : public PendingCall {
 public:
  // `soon`: it takes less time than a sleeping core needs to wake.
  PendingWork(MembersPtr members, c10::intrusive_ptr<c10d::Work> work, bool soon = false)
      : members_(std::move(members)), work_(std::move(work)), soon_(soon) {}

  void wait() override {
    members_->guard("all_reduce", [&] {
      if (soon_) {
        stay_awake();
      }
      work_->wait();
    });
  }

 private:
  // Lets other threads run, Gloo's first of all, but keeps the core from idling.
  void stay_awake() const {
    const auto end = std::chrono::steady_clock::now() + kAwake;
    while (!work_->isCompleted() && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
  }

  const MembersPtr members_;
  const c10::intrusive_ptr<c10d::Work> work_;
  const bool soon_;
};

// Sums `parts` in the order of ranks when they are there, bfloat16 in float32. One part: it is the
// sum.
class PendingSum : public PendingCall {
 public:
  PendingSum(torch::Tensor result, std::vector<torch::Tensor> parts,
             std::unique_ptr<PendingCall> call)
      : result_(std::move(result)), parts_(std::move(parts)), call_(std::move(call)) {}

  void wait() override {
    call_->wait();
    const bool halves = result_.scalar_type() == torch::kBFloat16;
    auto sum = parts_.front().to(halves ? torch::kFloat32 : result_.scalar_type(), false, true);
    for (size_t i = 1; i < parts_.size(); ++i) {
      sum.add_(parts_[i]);
    }
    result_.copy_(sum.view_as(result_));
    parts_.resize(1);
  }

 private:
  torch::Tensor result_;
  std::vector<torch::Tensor> parts_;
  const std::unique_ptr<PendingCall> call_;
};

torch::Tensor as_bytes(const torch::Tensor& tensor) {
  return tensor.view({-1}).view(torch::kUInt8);
}

class SingleGroup : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::unique_ptr<PendingCall> all_reduce(torch::Tensor) override {
    return std::make_unique<Finished>();
  }
  void broadcast(torch::Tensor, int) override {}
  std::vector<std::string> all_gather(const std::string& bytes) override { return {bytes}; }
  void barrier() override {}
};

class C10dGroup : public ProcessGroup {
 public:
  C10dGroup(MembersPtr members, c10::intrusive_ptr<Backend> backend, bool sums_bfloat16,
            torch::Device device)
      : members_(std::move(members)),
        backend_(std::move(backend)),
        sums_bfloat16_(sums_bfloat16),
        device_(device) {}

  // A rank that ends while others still read its last call would take them with it. One that ends
  // by an error waits for nobody.
  ~C10dGroup() override {
    if (std::uncaught_exceptions() > 0 || !device_.is_cuda()) {
      return;
    }
    try {
      barrier();
      close_backend(*backend_);
    } catch (const std::exception&) {  // the others have failed, and say so
    }
  }

  int rank() const override { return members_->world.rank; }
  int size() const override { return members_->world.size; }

  std::unique_ptr<PendingCall> all_reduce(torch::Tensor tensor) override {
    SSDQ_CHECK(tensor.is_contiguous(), "all_reduce needs a contiguous tensor");
    if (tensor.numel() == 0) {
      return std::make_unique<Finished>();
    }
    if (sums_bfloat16_) {
      return reduce(tensor.detach(), "all_reduce");
    }
    const bool halves = tensor.scalar_type() == torch::kBFloat16;
    if (size() <= kGatherUpTo && (halves || tensor.nbytes() <= kSmallBytes)) {
      return gather_and_sum(tensor.detach());
    }
    return halves ? reduce_bfloat16(tensor.detach()) : reduce(tensor.detach(), "all_reduce");
  }

  void broadcast(torch::Tensor tensor, int root) override {
    if (tensor.numel() == 0) {
      return;
    }
    torch::NoGradGuard no_grad;
    const auto packed = tensor.contiguous();
    members_->guard("broadcast", [&] {
      std::vector<torch::Tensor> tensors{as_bytes(packed)};
      c10d::BroadcastOptions options;
      options.rootRank = root;
      backend_->broadcast(tensors, options)->wait();
    });
    if (!packed.is_same(tensor)) {
      tensor.copy_(packed);
    }
  }

  std::vector<std::string> all_gather(const std::string& bytes) override {
    const auto own_length = torch::full({1}, static_cast<int64_t>(bytes.size()), torch::kInt64);
    const auto lengths = torch::cat(gather(own_length.to(device_), "all_gather")).cpu();
    const auto longest = lengths.max().item<int64_t>();
    std::vector<std::string> all(static_cast<size_t>(size()));
    if (longest == 0) {
      return all;
    }
    auto own = torch::zeros({longest}, torch::kUInt8);
    std::memcpy(own.data_ptr(), bytes.data(), bytes.size());
    const auto padded = gather(own.to(device_), "all_gather");
    for (size_t i = 0; i < all.size(); ++i) {
      const auto part = padded[i].cpu();
      all[i].assign(static_cast<const char*>(part.data_ptr()),
                    static_cast<size_t>(lengths[static_cast<int64_t>(i)].item<int64_t>()));
    }
    return all;
  }

  void barrier() override {
    auto one = torch::ones({1}, torch::TensorOptions().dtype(torch::kFloat32).device(device_));
    members_->guard("barrier", [&] {
      std::vector<torch::Tensor> tensors{one};
      backend_->allreduce(tensors)->wait();
      one.item<float>();  // on a GPU only this waits
    });
  }

 private:
  std::unique_ptr<PendingCall> reduce(const torch::Tensor& tensor, const char* call) {
    return members_->guard(call, [&] {
      std::vector<torch::Tensor> tensors{tensor};
      return std::make_unique<PendingWork>(members_, backend_->allreduce(tensors));
    });
  }

  // Gloo and MPI have no bfloat16 arithmetic (Gloo as far as LibTorch 1.13), and sums of bfloat16
  // steps would lose digits with every rank. Here they are of float32, rounded once, alike on all
  // ranks.
  std::unique_ptr<PendingCall> reduce_bfloat16(const torch::Tensor& tensor) {
    const auto wide = tensor.to(torch::kFloat32);
    auto call = reduce(wide, "all_reduce");
    return std::make_unique<PendingSum>(tensor, std::vector<torch::Tensor>{wide}, std::move(call));
  }

  // Each rank gathers the others' tensors, size - 1 times their bytes in one exchange. A ring
  // all-reduce takes 2 (size - 1) exchanges of 1 / size of the bytes each, twice as wide for
  // bfloat16: slower while latency is what counts, or ranks are few.
  std::unique_ptr<PendingCall> gather_and_sum(const torch::Tensor& tensor) {
    std::vector<torch::Tensor> parts, bytes;
    for (int i = 0; i < size(); ++i) {
      parts.push_back(torch::empty({tensor.numel()}, tensor.options()));
      bytes.push_back(as_bytes(parts.back()));
    }
    auto call = members_->guard("all_reduce", [&] {
      return std::make_unique<PendingWork>(members_, start_gather(as_bytes(tensor), bytes),
                                           tensor.nbytes() <= kSmallBytes);
    });
    return std::make_unique<PendingSum>(tensor, std::move(parts), std::move(call));
  }

  c10::intrusive_ptr<c10d::Work> start_gather(const torch::Tensor& tensor,
                                              const std::vector<torch::Tensor>& parts) {
    std::vector<std::vector<torch::Tensor>> outputs{parts};
    std::vector<torch::Tensor> inputs{tensor};
    return backend_->allgather(outputs, inputs);
  }

  std::vector<torch::Tensor> gather(const torch::Tensor& tensor, const char* call) {
    return members_->guard(call, [&] {
      std::vector<torch::Tensor> parts;
      for (int i = 0; i < size(); ++i) {
        parts.push_back(torch::empty_like(tensor));
      }
      start_gather(tensor, parts)->wait();
      return parts;
    });
  }

  const MembersPtr members_;
  const c10::intrusive_ptr<Backend> backend_;
  const bool sums_bfloat16_;
  const torch::Device device_;
};

}  // namespace

std::shared_ptr<ProcessGroup> connect(const World& world, const DistributedConfig& config,
                                      torch::Device device) {
  return connect_groups(world, config, device, 1).front();
}

std::vector<std::shared_ptr<ProcessGroup>> connect_groups(const World& world,
                                                          const DistributedConfig& config,
                                                          torch::Device device, int count) {
  const auto name = choose_backend(config.backend, device);
  std::vector<std::shared_ptr<ProcessGroup>> groups;
  if (world.size == 1 && name != "nccl") {
    groups.assign(static_cast<size_t>(count), std::make_shared<SingleGroup>());
    return groups;
  }
  auto members = std::make_shared<Members>();
  members->world = world;
  members->timeout = config.timeout;
  c10::intrusive_ptr<c10d::Store> store;
  if (world.size == 1) {
    store = c10::make_intrusive<c10d::HashStore>();
  } else {
    auto meeting = meet(world, config.timeout);
    store = meeting.store;
    members->peers = std::move(meeting.peers);
  }
  if (device.is_cuda() && !device.has_index()) {
    device = torch::Device(device.type(), static_cast<c10::DeviceIndex>(world.local_rank));
  }
  for (int i = 0; i < count; ++i) {
    const auto own = c10::make_intrusive<c10d::PrefixStore>("group" + std::to_string(i), store);
    auto backend = members->guard(
        "connecting", [&] { return make_backend(name, world, own, config.timeout, device); });
    groups.push_back(std::make_shared<C10dGroup>(members, backend, name == "nccl", device));
  }
  for (const auto& group : groups) {
    group->barrier();  // rank 0 must not leave before all have read from its store
  }
  return groups;
}

}  // namespace ssdq
