#include "ssdq/utils/event_writers.h"

#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/memory.h"
#include "ssdq/utils/progress.h"

namespace ssdq {
namespace {

constexpr int kBarWidth = 30;
constexpr std::string_view kLossTerm = "loss/";

bool is_before(const std::string& line, int64_t first_iteration) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) {
    return false;
  }
  const auto iteration = json.find("iteration");
  return iteration != json.end() && iteration->is_number_integer() &&
         iteration->get<int64_t>() < first_iteration;
}

void drop_lines_from(const std::string& path, int64_t first_iteration) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return;  // no file yet, or one that opening for appending will complain about
  }
  std::string kept;
  bool changed = false;
  for (std::string line; std::getline(file, line);) {
    const bool whole = !file.eof();
    if (whole && is_before(line, first_iteration)) {
      kept += line + "\n";
    } else {
      changed = true;
    }
  }
  if (changed) {
    write_file_atomically(path, kept);
  }
}

std::string eta(const EventStorage& storage, int64_t max_iteration) {
  const auto seconds = storage.mean("time");
  const auto left = static_cast<double>(max_iteration - storage.iteration());
  return seconds ? fmt::format("eta {}  ", format_duration(left * *seconds)) : "";
}

std::string losses(const EventStorage& storage) {
  std::vector<std::string> terms;
  for (const auto& [name, scalar] : storage.scalars()) {
    if (name.rfind(kLossTerm, 0) == 0) {
      terms.push_back(
          fmt::format("{} {:.4g}", name.substr(kLossTerm.size()), *storage.displayed(name)));
    }
  }
  const auto total = storage.displayed("loss");
  std::string text = total ? fmt::format("  loss {:.4g}", *total) : "";
  if (!terms.empty()) {
    text += fmt::format("{} ({})", total ? "" : "  loss", fmt::join(terms, ", "));
  }
  return text;
}

}  // namespace

JsonlWriter::JsonlWriter(std::string path, int64_t first_iteration) : path_(std::move(path)) {
  drop_lines_from(path_, first_iteration);
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const int reason = errno;
  SSDQ_CHECK(descriptor_ >= 0, "{}: cannot write the metrics: {}", path_,
             std::generic_category().message(reason));
  struct stat info {};
  ::fstat(descriptor_, &info);
  size_ = info.st_size;
}

JsonlWriter::~JsonlWriter() { JsonlWriter::close(); }

void JsonlWriter::write(const EventStorage& storage) {
  nlohmann::ordered_json json{{"iteration", storage.iteration()}};
  bool any = false;
  for (const auto& [name, scalar] : storage.scalars()) {
    if (scalar.version > seen_) {
      json[name] = scalar.value;
      any = true;
    }
  }
  if (any && descriptor_ >= 0) {
    append(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  }
  seen_ = storage.version();
}

void JsonlWriter::append(const std::string& line) {
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t written = ::write(descriptor_, line.data() + done, line.size() - done);
    if (written < 0 && errno != EINTR) {
      const int reason = errno;
      [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, size_);
      fail("{}: cannot write the metrics: {}", path_, std::generic_category().message(reason));
    }
    done += written > 0 ? static_cast<size_t>(written) : 0;
  }
  size_ += static_cast<int64_t>(line.size());
}

void JsonlWriter::close() {
  if (descriptor_ >= 0) {
    ::close(std::exchange(descriptor_, -1));
  }
}

std::string status_line(const EventStorage& storage, int64_t max_iteration, double memory_mb) {
  std::string line =
      eta(storage, max_iteration) + fmt::format("iter {}/{}", storage.iteration(), max_iteration);
  line += losses(storage);
  if (const auto seconds = storage.displayed("time")) {
    line += fmt::format("  {:.3f} s/it", *seconds);
    if (const auto data = storage.displayed("data_time")) {
      line += fmt::format(" (data {:.3f})", *data);
    }
  }
  if (const auto rate = storage.latest("lr")) {
    line += "  lr " + format_rate(*rate);
  }
  if (const auto share = storage.latest("sparsity/near_zero")) {
    line += fmt::format("  sparsity {:.0f}% of scales near 0", 100 * *share);
    if (const auto below = storage.latest("sparsity/below_50")) {
      line += fmt::format(", {:.0f} below the 50% cut", *below);
    }
  }
  return line + fmt::format("  mem {:.0f} MB", memory_mb);
}

ConsoleWriter::ConsoleWriter(Log& log, int64_t max_iteration)
    : log_(log), max_iteration_(max_iteration) {}

void ConsoleWriter::write(const EventStorage& storage) {
  log_.message(LogLevel::kInfo, status_line(storage, max_iteration_, peak_rss_mb()));
}

void ConsoleWriter::tick(const EventStorage& storage) {
  if (!log_.is_terminal()) {
    return;
  }
  log_.set_status(fmt::format("{}{} {}/{}", eta(storage, max_iteration_),
                              progress_bar(storage.iteration(), max_iteration_, kBarWidth),
                              storage.iteration(), max_iteration_));
}

void ConsoleWriter::close() { log_.set_status(""); }

}  // namespace ssdq
