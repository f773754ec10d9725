#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ssdq/distributed/process_group.h"

namespace ssdq {

struct RanksOptions {
  double timeout = 60;      // s
  bool one_machine = true;  // else the ranks believe to be on a machine each
  std::string host = "127.0.0.1";
};

// Runs `body` in as many threads as ranks, each with its own group over Gloo. What a rank threw is
// in the element of its number; empty: nothing.
std::vector<std::string> run_ranks(int size, const std::function<void(ProcessGroup&)>& body,
                                   const RanksOptions& options = {});

// "127.0.0.1" with a port on which nobody listens.
World test_world(int rank, int size, int port);

}  // namespace ssdq
