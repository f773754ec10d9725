#pragma once

#include <array>
#include <csignal>

namespace ssdq {

// While it lives, SIGINT, SIGTERM and SIGCHLD do nothing but make a file readable. One at a time.
class SignalPipe {
 public:
  SignalPipe();
  ~SignalPipe();
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  int readable() const { return ends_[0]; }

  // The first of SIGINT and SIGTERM that came since the last call, or 0.
  int take();

 private:
  static constexpr std::array<int, 3> kSignals{SIGINT, SIGTERM, SIGCHLD};

  std::array<int, 2> ends_{};
  std::array<struct sigaction, 3> before_{};
};

}  // namespace ssdq
