#include "ssdq/distributed/signal_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::atomic<int> write_end{-1};

void note(int signal) {
  const int error = errno;
  const auto byte = static_cast<unsigned char>(signal);
  [[maybe_unused]] const auto written = write(write_end, &byte, 1);
  errno = error;
}

}  // namespace

SignalPipe::SignalPipe() {
  SSDQ_CHECK(pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) == 0, "no pipe could be made: {}",
             std::strerror(errno));
  write_end = ends_[1];
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before_[i]);
  }
}

SignalPipe::~SignalPipe() {
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
  write_end = -1;
  close(ends_[0]);
  close(ends_[1]);
}

int SignalPipe::take() {
  int first = 0;
  for (unsigned char byte = 0; read(ends_[0], &byte, 1) == 1;) {
    if (byte != SIGCHLD && first == 0) {
      first = byte;
    }
  }
  return first;
}

}  // namespace ssdq
