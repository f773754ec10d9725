#pragma once

#include <string>
#include <vector>

namespace ssdq {

// Runs a program with its arguments, `command` as of exec (the path first), with this process's
// environment, output and input, and waits. Returns its exit status, 128 and the signal's number
// after a signal. Throws Error when it cannot be started.
int run_program(const std::vector<std::string>& command);

}  // namespace ssdq
