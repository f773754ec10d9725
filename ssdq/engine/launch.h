#pragma once

#include <functional>

namespace ssdq {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;           // the run failed
constexpr int kExitUsage = 2;            // wrong arguments or configuration
constexpr int kExitExpectedResults = 3;  // TEST.EXPECTED_RESULTS missed
constexpr int kExitInterrupted = 130;    // stopped by SIGINT or SIGTERM, checkpoint written

// Runs the body of a tool and turns exceptions into one message on stderr, "NAME: sentence", and an
// exit status: ConfigError 2, anything else 1.
int run_tool(const char* name, const std::function<int()>& body);

}  // namespace ssdq
