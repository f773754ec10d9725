#include "ssdq/distributed/peers.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string_view>
#include <thread>

#include <fmt/ranges.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Also of a process that ended and was not yet waited for.
bool has_ended(int pid) {
  if (kill(pid, 0) != 0 && errno == ESRCH) {
    return true;
  }
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  const auto name_end = line.rfind(')');
  return name_end != std::string::npos && name_end + 2 < line.size() &&
         (line[name_end + 2] == 'Z' || line[name_end + 2] == 'X');
}

std::vector<int> ended_now(const std::vector<Peer>& peers, const std::string& host) {
  std::vector<int> gone;
  for (size_t rank = 0; rank < peers.size(); ++rank) {
    if (peers[rank].host == host && has_ended(peers[rank].pid)) {
      gone.push_back(static_cast<int>(rank));
    }
  }
  return gone;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// What NCCL's watchdog thread leaves when a call does not end or a connection is lost.
bool reports_lost_rank_of_nccl(const std::string& line) {
  return contains(line, "Watchdog caught collective operation timeout") ||
         contains(line, "Connection closed by remote peer") ||
         contains(line, "remote process exited") || contains(line, "ncclRemoteError");
}

// NCCL's own words come after the place in LibTorch that met them.
std::string nccl_cause(const std::string& message) {
  constexpr std::string_view kHeading = "Last error:\n";
  const auto heading = message.find(kHeading);
  if (heading == std::string::npos) {
    return "";
  }
  const auto begin = heading + kHeading.size();
  const auto cause = message.substr(begin, message.find('\n', begin) - begin);
  return cause.empty() ? "" : ": " + cause;
}

}  // namespace

Peer this_process(const World& world) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return {host, getpid(), world.size};
}

std::string to_text(const Peer& peer) {
  return fmt::format("{} {} {}", peer.pid, peer.world_size, peer.host);
}

Peer peer_from_text(const std::string& text) {
  std::istringstream stream(text);
  Peer peer;
  stream >> peer.pid >> peer.world_size >> peer.host;
  SSDQ_CHECK(!stream.fail() && peer.pid > 0,
             "the address of the run is used by another program, or by another run");
  return peer;
}

std::vector<int> ranks_gone(const std::vector<Peer>& peers, const std::string& host) {
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    auto gone = ended_now(peers, host);
    if (!gone.empty()) {
      return gone;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  return {};
}

std::string list_ranks(const std::vector<int>& ranks) {
  if (ranks.size() == 1) {
    return fmt::format("rank {}", ranks.front());
  }
  return fmt::format("ranks {} and {}", fmt::join(ranks.begin(), ranks.end() - 1, ", "),
                     ranks.back());
}

std::string explain_failure(const std::string& message, double timeout) {
  std::smatch match;
  static const std::regex peer_pattern(R"((?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):\d+)");
  const bool peer_known = std::regex_search(message, match, peer_pattern);
  const std::string peer =
      peer_known ? "the rank at " + (match[1].matched ? match[1].str() : match[2].str())
                 : std::string("another rank");
  if (contains(message, "imed out") || contains(message, "imeout")) {
    return fmt::format("the other ranks did not come to it within {:.3g} s (DISTRIBUTED.TIMEOUT)",
                       timeout);
  }
  if (contains(message, "onnection closed") || contains(message, "onnection reset") ||
      contains(message, "roken pipe")) {
    return peer + " closed the connection";
  }
  if (contains(message, "onnection refused")) {
    return peer + " refused the connection";
  }
  static const std::regex source_file(R"(\[[^\]]*\.(cc|cpp|h|hpp):\d+\] *)");
  const auto first_line = message.substr(0, message.find('\n'));
  return std::regex_replace(first_line, source_file, "") + nccl_cause(message);
}

bool reports_lost_rank(const std::string& line) {
  return contains(line, "closed the connection") || contains(line, "refused the connection") ||
         contains(line, "(DISTRIBUTED.TIMEOUT)") || reports_lost_rank_of_nccl(line);
}

bool reports_busy_port(const std::string& line) {
  return contains(line, "is busy: another process listens on it");
}

}  // namespace ssdq
