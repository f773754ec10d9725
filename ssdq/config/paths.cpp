#include "ssdq/config/paths.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> places(const fs::path& path, const std::string& config_file) {
  if (path.is_absolute()) return {path.string()};
  std::vector<std::string> places;
  const auto add = [&](const fs::path& folder) {
    std::string place = (folder / path).lexically_normal().string();
    for (const std::string& earlier : places) {
      if (earlier == place) return;
    }
    places.push_back(std::move(place));
  };
  if (!path.has_parent_path() && !config_file.empty()) {
    add(fs::path(config_file).parent_path());
  }
  add("");
  if (!config_file.empty()) {
    add(fs::path(config_file).parent_path());
    add(fs::path(config_file).parent_path() / "..");
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) add(program.parent_path().parent_path() / "share" / "ssdq");
#ifdef SSDQ_SHARE_DIR
  add(SSDQ_SHARE_DIR);
#endif
  return places;
}

}  // namespace

std::string resolve_path(const std::string& path, const std::string& config_file) {
  SSDQ_CHECK_CONFIG(!path.empty(), "expected the path of a file, got nothing");
  const std::vector<std::string> tried = places(path, config_file);
  for (const std::string& place : tried) {
    std::error_code error;
    if (fs::exists(place, error) && !fs::is_directory(place, error)) return place;
  }
  fail_config("no file '{}'; tried {}", path, join(tried, ", "));
}

}  // namespace ssdq
