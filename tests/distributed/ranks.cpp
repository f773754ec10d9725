#include "ranks.h"

#include <exception>
#include <thread>

#include "ssdq/distributed/sockets.h"

namespace ssdq {

World test_world(int rank, int size, int port) {
  World world;
  world.rank = rank;
  world.size = size;
  world.local_rank = rank;
  world.local_size = size;
  world.host = "127.0.0.1";
  world.port = port;
  return world;
}

std::vector<std::string> run_ranks(int size, const std::function<void(ProcessGroup&)>& body,
                                   const RanksOptions& options) {
  const int port = find_free_port();
  std::vector<std::string> failures(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        auto world = test_world(rank, size, port);
        world.host = options.host;
        world.local_size = options.one_machine ? size : 1;
        DistributedConfig config;
        config.timeout = options.timeout;
        body(*connect(world, config, torch::kCPU));
      } catch (const std::exception& error) {
        failures[static_cast<size_t>(rank)] = error.what();
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  return failures;
}

}  // namespace ssdq
