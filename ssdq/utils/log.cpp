#include "ssdq/utils/log.h"

#include <cerrno>
#include <ctime>
#include <iostream>
#include <string_view>
#include <system_error>

#include <unistd.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr std::string_view kEraseLine = "\r\x1b[K";

std::string local_time(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARNING";
    case LogLevel::kError:
      return "ERROR";
  }
  return "";
}

const char* console_prefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug: ";
    case LogLevel::kInfo:
      return "";
    case LogLevel::kWarning:
      return "warning: ";
    case LogLevel::kError:
      return "error: ";
  }
  return "";
}

}  // namespace

Log::Log(std::ostream& out, std::ostream& err, bool terminal)
    : out_(out), err_(err), terminal_(terminal) {}

Log& Log::global() {
  // Never destroyed, so that threads and static objects may log to the very end.
  static Log& log = *new Log(std::cout, std::cerr, ::isatty(STDOUT_FILENO) == 1);
  return log;
}

void Log::open_file(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  file_.close();
  file_.clear();
  errno = 0;
  file_.open(path, std::ios::app);
  const int reason = errno;
  SSDQ_CHECK(file_.is_open(), "{}: cannot write the log file: {}", path,
             std::generic_category().message(reason));
  path_ = path;
}

void Log::close_file() {
  const std::lock_guard<std::mutex> lock(mutex_);
  file_.close();
}

void Log::set_level(LogLevel level) {
  const std::lock_guard<std::mutex> lock(mutex_);
  level_ = level;
}

void Log::message(LogLevel level, const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (level < level_) {
    return;
  }
  if (!status_.empty()) {
    out_ << kEraseLine << std::flush;
  }
  std::ostream& stream = level < LogLevel::kWarning ? out_ : err_;
  stream << fmt::format("[{}] {}{}\n", local_time("%H:%M:%S"), console_prefix(level), text)
         << std::flush;
  write_file(
      fmt::format("{} {:<7} {}\n", local_time("%Y-%m-%d %H:%M:%S"), level_name(level), text));
  out_ << status_ << std::flush;
}

void Log::set_status(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!terminal_ || text == status_) {
    return;
  }
  out_ << kEraseLine << text << std::flush;
  status_ = text;
}

void Log::write_file(const std::string& line) {
  if (!file_.is_open()) {
    return;
  }
  errno = 0;
  file_ << line << std::flush;
  if (!file_) {
    const int reason = errno;
    err_ << fmt::format("warning: {}: the log file is no longer written: {}\n", path_,
                        std::generic_category().message(reason))
         << std::flush;
    file_.close();
  }
}

}  // namespace ssdq
