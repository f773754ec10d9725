#pragma once

#include <functional>
#include <string>
#include <vector>

namespace ssdq {

// The ranks of a run that this machine starts.
struct LaunchOptions {
  int processes = 1;  // on this machine, and on each of the others
  int machines = 1;
  int machine_rank = 0;
  std::string dist_url;  // "tcp://host:port" of rank 0; empty: on one machine, a free port
  int max_restarts = 0;
  double settle = 1;  // s for other ranks to fail after the first, before the cause is named
  double grace = 10;  // s from SIGTERM to SIGKILL, when a rank has failed
  std::string program = "/proc/self/exe";
};

struct Address {
  std::string host;
  int port = 0;
};

// Of "tcp://host:port", "tcp://[::1]:port". Throws ConfigError saying what is wrong with it.
Address parse_dist_url(const std::string& url);

// Arguments that are added when the ranks start again: --resume, where there is a checkpoint.
using RestartArguments = std::function<std::vector<std::string>()>;

// Starts the program once for each rank with these arguments (the first is its name) and the place
// in RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT; waits for all.
// Rank 0 writes where this process does, of the others every line is preceded by "rank N: ".
//
// SIGINT and SIGTERM are passed on to all once, for them to stop by themselves; the second time
// they are killed. No rank outlives this process. When a rank fails, the others are given a moment
// to fail too, then SIGTERM, then after the grace SIGKILL; one message names the rank that was the
// cause, how it ended and the last line it wrote to stderr. A failed run is started again at most
// max_restarts times, not after wrong usage (status 2) or a stop.
//
// Returns 0, or the status of that rank, 1 when a signal ended it. Throws ConfigError for options
// that do not fit together, Error when no process can be started.
int launch(const LaunchOptions& options, const std::vector<std::string>& arguments,
           const RestartArguments& restart_arguments = {});

}  // namespace ssdq
