#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace ssdq {

// How a process ended.
struct ProcessEnd {
  int status = 0;  // exit status, if it was not a signal
  int signal = 0;  // 0: it exited by itself
};

// Passes on what a process writes to a pipe, and remembers its last line that is not blank.
class Relay {
 public:
  // From `source`, which it closes in the end, to `target`. With a prefix whole lines are passed
  // on, each with the prefix before it; without one everything at once.
  Relay(int source, int target, std::string prefix);
  ~Relay();
  Relay(Relay&& other) noexcept;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  Relay& operator=(Relay&&) = delete;

  int source() const { return source_; }  // -1 after the end
  const std::string& last_line() const { return last_line_; }

  // Passes on what there is to read, without waiting.
  void pass_on();
  // The same, and a last line that has no end.
  void finish();

 private:
  void take(const char* data, size_t size);
  void end_line();

  int source_;
  const int target_;
  const std::string prefix_;
  std::string line_;
  std::string last_line_;
};

struct ProcessOptions {
  std::string program;
  std::vector<std::string> arguments;    // the first is the name
  std::vector<std::string> environment;  // NAME=VALUE
  std::string prefix;                    // of the lines it writes; empty: its stdout is ours
};

// A process that does not outlive this one, whatever ends it. It is in a process group of its own,
// so that Ctrl-C reaches it only through send(), and reads nothing.
class ChildProcess {
 public:
  // Throws Error if it cannot be started.
  explicit ChildProcess(const ProcessOptions& options);
  ~ChildProcess();  // kills it
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  std::vector<Relay>& relays() { return relays_; }  // stderr's is the first
  const std::string& last_line() const { return relays_.front().last_line(); }

  void send(int signal) const;
  // How it ended, once it has.
  std::optional<ProcessEnd> end();

 private:
  pid_t pid_ = -1;
  std::vector<Relay> relays_;
  std::optional<ProcessEnd> end_;
};

}  // namespace ssdq
