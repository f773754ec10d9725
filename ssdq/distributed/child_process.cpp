#include "ssdq/distributed/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr size_t kLongestLine = 1 << 16;
constexpr int kCannotExecute = 127;  // as shells report it

struct Pipe {
  int read_end;
  int write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  SSDQ_CHECK(pipe2(ends.data(), O_CLOEXEC) == 0, "no pipe to a process could be made: {}",
             std::strerror(errno));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return {ends[0], ends[1]};
}

void write_all(int target, std::string_view text) {
  while (!text.empty()) {
    const auto written = write(target, text.data(), text.size());
    if (written < 0 && errno != EINTR && errno != EAGAIN) {
      return;
    }
    text.remove_prefix(written > 0 ? static_cast<size_t>(written) : 0);
  }
}

// For execve(); the strings must live on.
std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (auto& text : strings) {
    all.push_back(text.data());
  }
  all.push_back(nullptr);
  return all;
}

// Runs between fork() and execve(): only calls that are safe there.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment,
                         pid_t parent, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(kCannotExecute);
  }
  setpgid(0, 0);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  if (out >= 0) {
    dup2(out, STDOUT_FILENO);
  }
  dup2(err, STDERR_FILENO);
  execve(program, arguments, environment);
  const char* reason = std::strerror(errno);
  for (const char* text : {program, ": ", reason, "\n"}) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
  }
  _exit(kCannotExecute);
}

// Lines with which LibTorch follows the message of an exception that nobody caught.
bool is_stack_trace(const std::string& line) {
  return line.rfind("frame #", 0) == 0 || line.rfind("Exception raised from", 0) == 0;
}

}  // namespace

Relay::Relay(int source, int target, std::string prefix)
    : source_(source), target_(target), prefix_(std::move(prefix)) {}

Relay::Relay(Relay&& other) noexcept
    : source_(std::exchange(other.source_, -1)),
      target_(other.target_),
      prefix_(other.prefix_),
      line_(std::move(other.line_)),
      last_line_(std::move(other.last_line_)) {}

Relay::~Relay() {
  if (source_ >= 0) {
    close(source_);
  }
}

void Relay::pass_on() {
  std::array<char, 1 << 14> buffer{};
  while (source_ >= 0) {
    const auto count = read(source_, buffer.data(), buffer.size());
    if (count > 0) {
      take(buffer.data(), static_cast<size_t>(count));
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      close(source_);
      source_ = -1;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

void Relay::finish() {
  pass_on();
  if (!line_.empty()) {
    end_line();
  }
}

void Relay::take(const char* data, size_t size) {
  if (prefix_.empty()) {
    write_all(target_, {data, size});
  }
  for (size_t i = 0; i < size; ++i) {
    if (data[i] == '\n' || data[i] == '\r' || line_.size() == kLongestLine) {
      end_line();
    }
    if (data[i] != '\n' && data[i] != '\r') {
      line_ += data[i];
    }
  }
}

void Relay::end_line() {
  if (!prefix_.empty() && !line_.empty()) {
    write_all(target_, prefix_ + line_ + "\n");
  }
  const std::string text(trim(line_));
  if (!text.empty() && !is_stack_trace(text)) {
    last_line_ = text;
  }
  line_.clear();
}

ChildProcess::ChildProcess(const ProcessOptions& options) {
  auto arguments = options.arguments;
  auto environment = options.environment;
  const auto argument_pointers = pointers(arguments), environment_pointers = pointers(environment);
  const auto err = make_pipe();
  relays_.emplace_back(err.read_end, STDERR_FILENO, options.prefix);
  Pipe out{-1, -1};
  if (!options.prefix.empty()) {
    out = make_pipe();
    relays_.emplace_back(out.read_end, STDOUT_FILENO, options.prefix);
  }
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    become(options.program.c_str(), argument_pointers.data(), environment_pointers.data(), parent,
           out.write_end, err.write_end);
  }
  const int error = errno;
  close(err.write_end);
  if (out.write_end >= 0) {
    close(out.write_end);
  }
  SSDQ_CHECK(pid_ > 0, "a process could not be started: {}", std::strerror(error));
}

ChildProcess::~ChildProcess() {
  if (!end()) {
    send(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void ChildProcess::send(int signal) const {
  if (!end_) {
    kill(pid_, signal);
  }
}

std::optional<ProcessEnd> ChildProcess::end() {
  int status = 0;
  if (!end_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    end_ =
        WIFSIGNALED(status) ? ProcessEnd{0, WTERMSIG(status)} : ProcessEnd{WEXITSTATUS(status), 0};
    for (auto& relay : relays_) {
      relay.finish();
    }
  }
  return end_;
}

}  // namespace ssdq
