#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace ssdq {

// A run that cannot go on. what() is one sentence for the user: where, what was found, what was
// expected, what to do. Tools print it and exit with status 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A mistake in what the user wrote (config, cfg file, arguments). Several problems may be reported
// at once, a line each. Tools print it and exit with status 2.
class ConfigError : public Error {
 public:
  using Error::Error;
};

// Throws Error with a message formatted by fmt.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

// Throws ConfigError with a message formatted by fmt.
template <typename... Args>
[[noreturn]] void fail_config(fmt::format_string<Args...> format, Args&&... args) {
  throw ConfigError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ssdq

// Throws ssdq::Error with the formatted message when the condition does not hold.
#define SSDQ_CHECK(condition, ...) \
  do {                             \
    if (!(condition)) {            \
      ::ssdq::fail(__VA_ARGS__);   \
    }                              \
  } while (false)

// Throws ssdq::ConfigError with the formatted message when the condition does not hold.
#define SSDQ_CHECK_CONFIG(condition, ...) \
  do {                                    \
    if (!(condition)) {                   \
      ::ssdq::fail_config(__VA_ARGS__);   \
    }                                     \
  } while (false)
