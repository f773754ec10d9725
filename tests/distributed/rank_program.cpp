#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include <torch/torch.h>

#include "ssdq/distributed/process_group.h"
#include "ssdq/engine/launch.h"

// A run of several ranks, to be started by launch():
//   rank_program sum         sums over the ranks, prints the sum
//   rank_program CALL RANK   the rank of that number is killed, hangs or throws in a loop of sums

namespace {

void misbehave(const std::string& how) {
  if (how == "killed") {
    raise(SIGKILL);
  } else if (how == "hangs") {
    std::this_thread::sleep_for(std::chrono::hours(1));
  } else if (how == "throws") {
    throw std::runtime_error("the disk is full");
  }
}

int run(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "sum";
  ssdq::DistributedConfig config;
  config.timeout = how == "hangs" ? 10 : 60;
  const int culprit = argc > 2 ? std::atoi(argv[2]) : -1;
  const auto group = ssdq::connect(ssdq::world_from_environment(), config, torch::kCPU);
  auto tensor = torch::full({100000}, group->rank() + 1.0);
  for (int i = 0; i < (how == "sum" ? 1 : 1000000); ++i) {
    group->all_reduce(tensor)->wait();
    if (i == 20 && group->rank() == culprit) {
      misbehave(how);
    }
  }
  if (group->rank() == 0) {
    std::cout << "sum " << tensor[0].item<float>() << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("rank_program", [&] { return run(argc, argv); });
}
