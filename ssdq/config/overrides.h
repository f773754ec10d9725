#pragma once

#include <set>
#include <string>
#include <vector>

namespace ssdq {

struct CommandLine {
  std::vector<std::string> options;    // for the option parser, without the program's name
  std::vector<std::string> overrides;  // KEY VALUE KEY VALUE
};

// Splits a command line where configuration overrides begin: at the first argument that is a key
// (SOLVER.LR, OUTPUT_DIR), is no option and is no option's value. An option (--resume) may also
// stand after or between the pairs. `options_with_values` names the
// options ("--config-file",
// "-c") whose value is the next argument. So a value such as -1 never looks like an option.
CommandLine split_overrides(int argc, const char* const* argv,
                            const std::set<std::string>& options_with_values);

}  // namespace ssdq
