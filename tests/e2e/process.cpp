#include "process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace ssdq::testing {

pid_t start_tool(const std::string& tool, const std::vector<std::string>& arguments,
                 const std::string& log) {
  const std::string path = std::string(SSDQ_BIN_DIR) + "/" + tool;
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const auto& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  if (pid < 0) {
    throw std::runtime_error("fork failed");
  }
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

ProcessResult run_tool(const std::string& tool, const std::vector<std::string>& arguments) {
  std::string log = (std::filesystem::temp_directory_path() / "ssdq_tool_XXXXXX").string();
  close(mkstemp(log.data()));
  ProcessResult result;
  result.status = wait_for(start_tool(tool, arguments, log));
  std::ostringstream text;
  text << std::ifstream(log).rdbuf();
  result.output = text.str();
  std::filesystem::remove(log);
  return result;
}

}  // namespace ssdq::testing
