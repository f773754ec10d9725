#pragma once

#include <fstream>
#include <iosfwd>
#include <mutex>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace ssdq {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Messages for a person: debug and information on one stream, warnings and errors on the other,
// everything in a file once open_file() was called. Each message is a line with its time. Safe to
// use from several threads. Logging never throws: a log file that stops taking data (a full disk)
// is reported once on the terminal and then left alone.
//
// On a terminal set_status() keeps a line below the messages that is redrawn in place.
class Log {
 public:
  // `terminal`: the streams are a terminal, which understands the escape codes for redrawing.
  Log(std::ostream& out, std::ostream& err, bool terminal);

  // The process's log, on stdout and stderr.
  static Log& global();

  // Appends to `path` from now on. Throws Error if it cannot be written.
  void open_file(const std::string& path);
  void close_file();

  // Messages below this level go nowhere; kInfo at first.
  void set_level(LogLevel level);

  void message(LogLevel level, const std::string& text);

  // Sets the redrawn line; empty removes it. Does nothing where the stream is not a terminal.
  void set_status(const std::string& text);
  bool is_terminal() const { return terminal_; }

 private:
  void write_file(const std::string& line);

  std::ostream& out_;
  std::ostream& err_;
  const bool terminal_;
  std::mutex mutex_;
  LogLevel level_ = LogLevel::kInfo;
  std::ofstream file_;
  std::string path_;
  std::string status_;
};

template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  Log::global().message(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  Log::global().message(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  Log::global().message(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  Log::global().message(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ssdq
