#pragma once

#include <string>
#include <vector>

#include "ssdq/distributed/world.h"

namespace ssdq {

// Where a rank runs.
struct Peer {
  std::string host;
  int pid = 0;
  int world_size = 0;  // as that rank knows it
};

Peer this_process(const World& world);

// As one line of text and back; Error for text that is none.
std::string to_text(const Peer& peer);
Peer peer_from_text(const std::string& text);

// The ranks of `peers` whose process on this machine has ended. A process that is just ending is
// given a moment. Nothing is known of other machines.
std::vector<int> ranks_gone(const std::vector<Peer>& peers, const std::string& host);

// "rank 3", "ranks 1, 2 and 5".
std::string list_ranks(const std::vector<int>& ranks);

// What a message of c10d, Gloo or the system says of a collective call that failed, without source
// files and stack traces: "127.0.0.1 closed the connection".
std::string explain_failure(const std::string& message, double timeout);

// Whether a rank's last line says, in the words above, that another rank was lost: a consequence.
bool reports_lost_rank(const std::string& line);

// Whether it says that the port of rank 0 was taken.
bool reports_busy_port(const std::string& line);

}  // namespace ssdq
