#pragma once

#include <vector>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "ssdq/distributed/peers.h"
#include "ssdq/distributed/world.h"

namespace ssdq {

struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;
  std::vector<Peer> peers;  // in the order of ranks
};

// Rank 0 listens at world.host:port (or torchrun's agent does), the others connect to it, and all
// wait until all are there; at most `timeout` seconds. Throws Error naming this rank and who is
// missing.
Meeting meet(const World& world, double timeout);

}  // namespace ssdq
