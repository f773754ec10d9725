#include "ssdq/checkpoint/checkpointer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPointer = "last_checkpoint.txt";
constexpr const char* kFinal = "model_final.safetensors";
constexpr const char* kBest = "model_best.safetensors";
constexpr std::string_view kPrefix = "model_";
constexpr std::string_view kSuffix = ".safetensors";

// 1000 for "model_0001000.safetensors", nothing for other names.
std::optional<int64_t> iteration_of(const std::string& name) {
  if (name.size() < kPrefix.size() + 7 + kSuffix.size() || name.rfind(kPrefix, 0) != 0 ||
      name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) != 0) {
    return std::nullopt;
  }
  const char* first = name.data() + kPrefix.size();
  const char* last = name.data() + name.size() - kSuffix.size();
  int64_t iteration = 0;
  const auto [end, error] = std::from_chars(first, last, iteration);
  return error == std::errc() && end == last && iteration >= 0 ? std::optional(iteration)
                                                               : std::nullopt;
}

std::vector<std::string> file_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (fs::directory_iterator at(folder, ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    names.push_back(at->path().filename().string());
  }
  return names;
}

// Nothing if the file is not a sound checkpoint of a run.
std::optional<Checkpoint> inspect(const std::string& path) {
  try {
    Checkpoint checkpoint = inspect_checkpoint(path);
    return checkpoint.weights_only ? std::nullopt : std::optional(std::move(checkpoint));
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Checkpointer::Best> read_best(const std::string& path) {
  const auto checkpoint = inspect(path);
  if (!checkpoint || checkpoint->extra.count("best_metric") == 0 ||
      checkpoint->extra.count("best_value") == 0) {
    return std::nullopt;
  }
  const std::string& text = checkpoint->extra.at("best_value");
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return Checkpointer::Best{checkpoint->extra.at("best_metric"), value};
}

}  // namespace

Checkpointer::Checkpointer(std::string folder, int keep_last, bool resumed)
    : folder_(std::move(folder)), keep_last_(keep_last) {
  std::error_code error;
  fs::create_directories(folder_, error);
  SSDQ_CHECK(!error, "{}: cannot create the folder for checkpoints: {}", folder_, error.message());
  if (resumed) {
    best_ = read_best(path_of(kBest));
  }
}

std::string Checkpointer::path_of(const std::string& name) const {
  return (fs::path(folder_) / name).string();
}

std::string Checkpointer::save_as(const std::string& name, const Checkpoint& checkpoint) {
  const std::string path = path_of(name);
  save_checkpoint(path, checkpoint);
  write_file_atomically(path_of(kPointer), name + "\n");
  return path;
}

std::string Checkpointer::save(const Checkpoint& checkpoint) {
  const std::string path =
      save_as(fmt::format("{}{:07}{}", kPrefix, checkpoint.iteration, kSuffix), checkpoint);
  remove_older(checkpoint.iteration);
  return path;
}

std::string Checkpointer::save_final(const Checkpoint& checkpoint) {
  return save_as(kFinal, checkpoint);
}

bool Checkpointer::save_best(const std::string& metric, double value, Checkpoint checkpoint) {
  const bool better = !best_ || best_->metric != metric || value > best_->value;
  if (std::isnan(value) || !better) {
    return false;
  }
  checkpoint.extra["best_metric"] = metric;
  checkpoint.extra["best_value"] = fmt::format("{}", value);
  save_checkpoint(path_of(kBest), checkpoint);
  best_ = Best{metric, value};
  return true;
}

void Checkpointer::remove_older(int64_t iteration) const {
  std::vector<std::pair<int64_t, std::string>> saved;
  for (const auto& name : file_names(folder_)) {
    const auto at = iteration_of(name);
    if (at && *at <= iteration) {
      saved.emplace_back(*at, name);
    }
  }
  if (keep_last_ <= 0 || saved.size() <= static_cast<size_t>(keep_last_)) {
    return;
  }
  std::sort(saved.begin(), saved.end());
  saved.resize(saved.size() - static_cast<size_t>(keep_last_));
  for (const auto& [at, name] : saved) {
    std::error_code ignored;  // a file that stays costs space only
    fs::remove(path_of(name), ignored);
  }
}

std::optional<std::string> Checkpointer::latest() const {
  std::ifstream pointer(path_of(kPointer));
  std::string name;
  if (std::getline(pointer, name) && !name.empty() && name.find('/') == std::string::npos &&
      inspect(path_of(name))) {
    return path_of(name);
  }
  std::optional<std::string> newest;
  int64_t newest_iteration = -1;
  for (const auto& candidate : file_names(folder_)) {
    if (!iteration_of(candidate) && candidate != kFinal) {
      continue;
    }
    const auto checkpoint = inspect(path_of(candidate));
    if (checkpoint && checkpoint->iteration > newest_iteration) {
      newest = path_of(candidate);
      newest_iteration = checkpoint->iteration;
    }
  }
  return newest;
}

}  // namespace ssdq
