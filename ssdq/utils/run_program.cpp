#include "ssdq/utils/run_program.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ssdq/utils/error.h"

namespace ssdq {

int run_program(const std::vector<std::string>& command) {
  SSDQ_CHECK(!command.empty(), "no program to run");
  std::vector<char*> argv;
  for (const auto& word : command) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
  SSDQ_CHECK(error == 0, "{}: cannot be started: {}", command.front(), std::strerror(error));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    SSDQ_CHECK(errno == EINTR, "{}: cannot be waited for: {}", command.front(),
               std::strerror(errno));
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace ssdq
