#pragma once

#include <string>

namespace ssdq {

// Where a process stands in a run of several.
struct World {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // on its machine
  int local_size = 1;  // ranks on its machine
  std::string host;    // where rank 0 listens
  int port = 0;
  // torchrun's agent listens at that address in the place of rank 0; the ranks share its keys under
  // this prefix.
  bool agent_listens = false;
  std::string prefix;
};

}  // namespace ssdq
