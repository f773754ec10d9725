#pragma once

#include <memory>
#include <string>
#include <vector>

#include <torch/types.h>

#include "ssdq/config/config.h"
#include "ssdq/distributed/world.h"

namespace ssdq {

// A collective call that is under way.
class PendingCall {
 public:
  virtual ~PendingCall() = default;
  // Throws Error naming this rank, the call and what the others did, after DISTRIBUTED.TIMEOUT too.
  virtual void wait() = 0;
};

// The ranks of a run, connected: c10d's collective calls. Every rank makes the same calls in the
// same order, with tensors of the same shape and type on the group's device. For use from one
// thread.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Sum over the ranks, in place; the tensor, which must be contiguous, is not to be touched before
  // wait() returns.
  virtual std::unique_ptr<PendingCall> all_reduce(torch::Tensor tensor) = 0;

  virtual void broadcast(torch::Tensor tensor, int root) = 0;

  // Byte strings of any length from all ranks, in the order of ranks.
  virtual std::vector<std::string> all_gather(const std::string& bytes) = 0;

  virtual void barrier() = 0;
};

// Meets the other ranks at world.address and connects to them by the configured backend; a group of
// one rank needs no address. Throws Error when they do not come in time, the address is wrong or
// the port busy; ConfigError for a backend that this LibTorch does not have.
std::shared_ptr<ProcessGroup> connect(const World& world, const DistributedConfig& config,
                                      torch::Device device);

// Several groups of the same ranks, whose calls know nothing of each other.
std::vector<std::shared_ptr<ProcessGroup>> connect_groups(const World& world,
                                                          const DistributedConfig& config,
                                                          torch::Device device, int count);

}  // namespace ssdq
