#include <algorithm>

#include <fmt/format.h>

#include "ssdq/checkpoint/state.h"
#include "ssdq/importing/import_state.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr size_t kShown = 10;

bool any_starts_with(const std::vector<std::string>& names, const std::string& prefix) {
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& name) { return name.rfind(prefix, 0) == 0; });
}

// What the user can do about it.
std::string advice(const ImportedState& imported) {
  const ImportReport& report = imported.report;
  if (imported.source->classifier && any_starts_with(report.missing, "head.")) {
    return "; a classifier has no heads: give it as MODEL.BACKBONE.WEIGHTS, or allow 'head.*' and "
           "the extra levels to be missing";
  }
  if (report.missing.empty() && any_starts_with(report.reshaped, "head.cls.")) {
    return "; for another number of classes re-initialise the class heads (reset 'head.cls.*': "
           "--reset or MODEL.RESET)";
  }
  return "";
}

}  // namespace

std::string describe(const ImportReport& report) {
  std::string text = fmt::format(
      "{} tensors matched, {} missing, {} unexpected, {} of another shape, {} reset, {} unused",
      report.matched.size(), report.missing.size() + report.allowed.size(),
      report.unexpected.size(), report.reshaped.size(), report.reset.size(), report.unused.size());
  text += list_lines("missing", report.missing, kShown) +
          list_lines("missing, allowed", report.allowed, kShown);
  text += list_lines("unexpected", report.unexpected, kShown) +
          list_lines("shape", report.reshaped, kShown);
  return text + list_lines("reset", report.reset, kShown);
}

void check_complete(const ImportedState& imported, const std::string& path) {
  SSDQ_CHECK(imported.report.complete(), "{}: read as {}, the file does not fit the network{}: {}",
             path, imported.source->name, advice(imported), describe(imported.report));
}

}  // namespace ssdq
