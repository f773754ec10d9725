#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace ssdq::testing {

struct ProcessResult {
  int status = 0;      // exit status, or 128 + signal
  std::string output;  // stdout and stderr together
};

// Starts build/bin/TOOL with arguments; its output goes to `log`.
pid_t start_tool(const std::string& tool, const std::vector<std::string>& arguments,
                 const std::string& log);

// Waits for it to end.
int wait_for(pid_t pid);

// start_tool and wait_for.
ProcessResult run_tool(const std::string& tool, const std::vector<std::string>& arguments);

}  // namespace ssdq::testing
