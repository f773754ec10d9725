#include "ssdq/distributed/launcher.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "ssdq/distributed/child_process.h"
#include "ssdq/distributed/peers.h"
#include "ssdq/distributed/signal_pipe.h"
#include "ssdq/distributed/sockets.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr int kFailed = 1;
constexpr int kInterrupted = 130;

struct Failure {
  int rank = 0;
  ProcessEnd end;
  std::string last_line;
};

struct Outcome {
  std::optional<Failure> cause;
  std::vector<int> waiting;  // ranks that were still running when the cause was named
  bool stopped = false;      // by a signal to this process
};

// How likely it is the cause, the higher the more: a signal, an error of its own, another's end
// (for which NCCL's watchdog aborts the process).
int weight(const Failure& failure) {
  return reports_lost_rank(failure.last_line) ? 0 : failure.end.signal != 0 ? 2 : 1;
}

// Starts the ranks of one attempt and waits for them.
class Attempt {
 public:
  Attempt(const LaunchOptions& options, const std::vector<std::string>& arguments,
          const Address& address, SignalPipe& signals)
      : options_(options),
        signals_(signals),
        first_rank_(options.machine_rank * options.processes) {
    for (int i = 0; i < options.processes; ++i) {
      ProcessOptions process;
      process.program = options.program;
      process.arguments = arguments;
      process.environment = environment(i, address);
      process.prefix = first_rank_ + i == 0 ? "" : fmt::format("rank {}: ", first_rank_ + i);
      children_.push_back(std::make_unique<ChildProcess>(process));
    }
    ended_.resize(children_.size());
  }

  Outcome run() {
    while (true) {
      wait_for_news();
      if (const int signal = signals_.take(); signal != 0) {
        pass_on(signal);
      }
      collect();
      if (std::all_of(ended_.begin(), ended_.end(), [](bool ended) { return ended; })) {
        name_cause();
        return outcome_;
      }
      stop_the_rest();
    }
  }

 private:
  std::vector<std::string> environment(int index, const Address& address) const {
    const std::vector<std::pair<std::string, std::string>> own = {
        {"RANK", std::to_string(first_rank_ + index)},
        {"WORLD_SIZE", std::to_string(options_.processes * options_.machines)},
        {"LOCAL_RANK", std::to_string(index)},
        {"LOCAL_WORLD_SIZE", std::to_string(options_.processes)},
        {"MASTER_ADDR", address.host},
        {"MASTER_PORT", std::to_string(address.port)}};
    std::vector<std::string> all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string variable(*entry);
      const auto name = variable.substr(0, variable.find('='));
      if (name != "TORCHELASTIC_USE_AGENT_STORE" &&
          std::none_of(own.begin(), own.end(),
                       [&](const auto& set) { return set.first == name; })) {
        all.push_back(variable);
      }
    }
    for (const auto& [name, value] : own) {
      all.push_back(fmt::format("{}={}", name, value));
    }
    if (getenv("OMP_NUM_THREADS") == nullptr) {  // else every rank takes all cores
      const int cores = static_cast<int>(std::thread::hardware_concurrency());
      all.push_back(fmt::format("OMP_NUM_THREADS={}", std::max(1, cores / options_.processes)));
    }
    if (getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {  // else c10d logs stack traces of lost ranks
      all.emplace_back("TORCH_CPP_LOG_LEVEL=ERROR");
    }
    return all;
  }

  void wait_for_news() {
    std::vector<pollfd> files{{signals_.readable(), POLLIN, 0}};
    for (auto& child : children_) {
      for (auto& relay : child->relays()) {
        if (relay.source() >= 0) {
          files.push_back({relay.source(), POLLIN, 0});
        }
      }
    }
    const int limit = deadline_ ? static_cast<int>(seconds_until(*deadline_) * 1000) + 1 : -1;
    poll(files.data(), files.size(), limit);
    for (auto& child : children_) {
      for (auto& relay : child->relays()) {
        relay.pass_on();
      }
    }
  }

  void pass_on(int signal) {
    for (auto& child : children_) {
      child->send(outcome_.stopped ? SIGKILL : signal);
    }
    outcome_.stopped = true;
  }

  void collect() {
    for (size_t i = 0; i < children_.size(); ++i) {
      const auto end = ended_[i] ? std::nullopt : children_[i]->end();
      if (!end) {
        continue;
      }
      ended_[i] = true;
      const bool stopped = outcome_.stopped && (end->status == kInterrupted || end->signal != 0);
      if (!stopped && !named_ && (end->status != 0 || end->signal != 0)) {
        failures_.push_back({first_rank_ + static_cast<int>(i), *end, children_[i]->last_line()});
        deadline_ = deadline_ ? deadline_ : deadline_after(options_.settle);
      }
    }
  }

  // After the first failure: names the cause, then SIGTERM, then SIGKILL.
  void stop_the_rest() {
    if (!deadline_ || seconds_until(*deadline_) > 0) {
      return;
    }
    const bool first = !named_;
    name_cause();
    for (auto& child : children_) {
      child->send(first ? SIGTERM : SIGKILL);
    }
    deadline_ = deadline_after(options_.grace);
  }

  void name_cause() {
    if (named_ || failures_.empty()) {
      return;
    }
    named_ = true;
    outcome_.cause =
        *std::max_element(failures_.begin(), failures_.end(),
                          [](const Failure& a, const Failure& b) { return weight(a) < weight(b); });
    for (size_t i = 0; i < children_.size(); ++i) {
      if (!ended_[i]) {
        outcome_.waiting.push_back(first_rank_ + static_cast<int>(i));
      }
    }
  }

  const LaunchOptions& options_;
  SignalPipe& signals_;
  const int first_rank_;
  std::vector<std::unique_ptr<ChildProcess>> children_;
  std::vector<bool> ended_;
  std::vector<Failure> failures_;
  std::optional<Deadline> deadline_;  // of the next step of stopping
  bool named_ = false;
  Outcome outcome_;
};

std::string describe(const ProcessEnd& end) {
  if (end.signal == 0) {
    return fmt::format("exited with status {}", end.status);
  }
  if (end.signal == SIGKILL) {
    return "was killed by SIGKILL; was the memory exhausted?";
  }
  return fmt::format("was ended by signal {} ({})", end.signal, strsignal(end.signal));
}

std::string describe(const Outcome& outcome) {
  const auto& cause = *outcome.cause;
  auto message = fmt::format("rank {} {}", cause.rank, describe(cause.end));
  if (!cause.last_line.empty()) {
    message += fmt::format("; its last line was: {}", cause.last_line);
  }
  if (!outcome.waiting.empty() && weight(cause) == 0) {
    message += fmt::format("; still running: {}", list_ranks(outcome.waiting));
  }
  return message;
}

int status_of(const ProcessEnd& end) { return end.signal != 0 ? kFailed : end.status; }

void check(const LaunchOptions& options) {
  SSDQ_CHECK_CONFIG(options.processes >= 1, "{} processes cannot be started; expected 1 or more",
                    options.processes);
  SSDQ_CHECK_CONFIG(
      options.machines >= 1 && options.machine_rank >= 0 && options.machine_rank < options.machines,
      "machine {} of {} does not exist; machines count from 0", options.machine_rank,
      options.machines);
  SSDQ_CHECK_CONFIG(options.machines == 1 || !options.dist_url.empty(),
                    "{} machines need the address of the first, as tcp://host:port, the same on "
                    "all of them",
                    options.machines);
  SSDQ_CHECK_CONFIG(options.max_restarts >= 0, "{} restarts are not possible",
                    options.max_restarts);
}

}  // namespace

Address parse_dist_url(const std::string& url) {
  constexpr std::string_view kScheme = "tcp://";
  const auto colon = url.rfind(':');
  SSDQ_CHECK_CONFIG(starts_with(url, kScheme),
                    "the address \"{}\" does not begin with tcp://; expected tcp://host:port", url);
  SSDQ_CHECK_CONFIG(colon >= kScheme.size() && colon != std::string::npos && url.back() != ']',
                    "the address \"{}\" has no port; expected tcp://host:port", url);
  Address address;
  address.host = url.substr(kScheme.size(), colon - kScheme.size());
  if (starts_with(address.host, "[") && ends_with(address.host, "]")) {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  SSDQ_CHECK_CONFIG(!address.host.empty(),
                    "the address \"{}\" has no host; expected tcp://host:port", url);
  const auto* end = url.data() + url.size();
  const auto parsed = std::from_chars(url.data() + colon + 1, end, address.port);
  SSDQ_CHECK_CONFIG(
      parsed.ec == std::errc() && parsed.ptr == end && address.port >= 1 && address.port <= 65535,
      "the port \"{}\" of the address \"{}\" is no number from 1 to 65535", url.substr(colon + 1),
      url);
  return address;
}

int launch(const LaunchOptions& options, const std::vector<std::string>& arguments,
           const RestartArguments& restart_arguments) {
  check(options);
  const bool own_port = options.dist_url.empty();
  SignalPipe signals;
  auto current = arguments;
  bool port_was_busy = false;
  for (int restarts = 0;;) {
    const auto address =
        own_port ? Address{"127.0.0.1", find_free_port()} : parse_dist_url(options.dist_url);
    const auto outcome = Attempt(options, current, address, signals).run();
    if (!outcome.cause) {
      return outcome.stopped ? kInterrupted : 0;
    }
    // Another program may have taken the port that was just found free.
    if (own_port && !port_was_busy && !outcome.stopped &&
        reports_busy_port(outcome.cause->last_line)) {
      port_was_busy = true;
      continue;
    }
    const int status = status_of(outcome.cause->end);
    const bool again = restarts < options.max_restarts && !outcome.stopped && status == kFailed;
    std::cerr << describe(outcome)
              << (again ? fmt::format("; restart {} of {}", ++restarts, options.max_restarts) : "")
              << std::endl;
    if (!again) {
      return status;
    }
    current = arguments;
    const auto more = restart_arguments ? restart_arguments() : std::vector<std::string>();
    current.insert(current.end(), more.begin(), more.end());
  }
}

}  // namespace ssdq
