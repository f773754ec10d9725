#include "ssdq/distributed/rendezvous.h"

#include <chrono>
#include <string>
#include <thread>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "ssdq/distributed/sockets.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using StorePtr = c10::intrusive_ptr<c10d::Store>;

// Since LibTorch 2.1 the store's server uses libuv unless told otherwise, and then refuses to start
// where LibTorch was built without it.
template <typename Options>
auto do_without_libuv(Options& options, int) -> decltype(options.useLibUV, void()) {
  options.useLibUV = false;
}

template <typename Options>
void do_without_libuv(Options&, long) {}

// The store counts in whole seconds; our own deadlines come first.
std::chrono::seconds store_timeout(Deadline deadline) {
  return std::chrono::seconds(static_cast<int64_t>(seconds_until(deadline)) + 2);
}

StorePtr open_store(const World& world, Deadline deadline) {
  c10d::TCPStoreOptions options;
  do_without_libuv(options, 0);
  options.port = static_cast<uint16_t>(world.port);
  options.isServer = world.rank == 0 && !world.agent_listens;
  options.waitWorkers = false;
  options.timeout = store_timeout(deadline);
  if (options.isServer) {
    check_port_free(world.port);
  } else {
    wait_for_listener(world.host, world.port, deadline);
  }
  // The server listens on all of its addresses; whether `host` is one is for the others to see.
  StorePtr store = c10::make_intrusive<c10d::TCPStore>(
      options.isServer ? std::string("127.0.0.1") : world.host, options);
  if (!world.prefix.empty()) {
    store = c10::make_intrusive<c10d::PrefixStore>(world.prefix, store);
  }
  return store;
}

std::string key_of(int rank) { return fmt::format("ssdq/rank/{}", rank); }

void announce(const World& world, c10d::Store& store, Deadline deadline) {
  const auto key = key_of(world.rank);
  SSDQ_CHECK(store.add(key + "/count", 1) == 1,
             "another process came to {}:{} as rank {}; each rank is started once, and each run "
             "needs a port of its own",
             world.host, world.port, world.rank);
  const auto text = to_text(this_process(world));
  store.set(key, std::vector<uint8_t>(text.begin(), text.end()));
  // Also bounds the time of what is read from the store from now on.
  store.wait({key}, store_timeout(deadline));
}

void wait_for_all(const World& world, c10d::Store& store, double timeout, Deadline deadline) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < world.size; ++rank) {
    keys.push_back(key_of(rank));
  }
  while (!store.check(keys)) {
    if (seconds_until(deadline) > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    std::vector<int> missing;
    for (int rank = 0; rank < world.size; ++rank) {
      if (!store.check({key_of(rank)})) {
        missing.push_back(rank);
      }
    }
    SSDQ_CHECK(missing.empty(),
               "{} of {} ranks came to {}:{} within {:.3g} s (DISTRIBUTED.TIMEOUT); {} did not",
               world.size - static_cast<int>(missing.size()), world.size, world.host, world.port,
               timeout, list_ranks(missing));
  }
}

std::vector<Peer> read_peers(const World& world, c10d::Store& store) {
  std::vector<Peer> peers;
  for (int rank = 0; rank < world.size; ++rank) {
    const auto text = store.get(key_of(rank));
    peers.push_back(peer_from_text({text.begin(), text.end()}));
    SSDQ_CHECK(peers.back().world_size == world.size,
               "rank {} was started for {} ranks, this one for {}", rank, peers.back().world_size,
               world.size);
  }
  return peers;
}

}  // namespace

Meeting meet(const World& world, double timeout) {
  const auto deadline = deadline_after(timeout);
  const auto me = fmt::format("rank {} of {}", world.rank, world.size);
  try {
    Meeting meeting;
    meeting.store = open_store(world, deadline);
    announce(world, *meeting.store, deadline);
    wait_for_all(world, *meeting.store, timeout, deadline);
    meeting.peers = read_peers(world, *meeting.store);
    return meeting;
  } catch (const Error& error) {
    fail("{}: {}", me, error.what());
  } catch (const c10::Error& error) {
    fail("{}: meeting the others at {}:{} failed: {}", me, world.host, world.port,
         explain_failure(error.what_without_backtrace(), timeout));
  } catch (const std::exception& error) {
    fail("{}: meeting the others at {}:{} failed: {}", me, world.host, world.port,
         explain_failure(error.what(), timeout));
  }
}

}  // namespace ssdq
