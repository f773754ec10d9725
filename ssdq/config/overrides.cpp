#include "ssdq/config/overrides.h"

#include <string_view>

#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

bool is_key(std::string_view argument) {
  // The names below these sections are the user's own, in any case.
  for (const std::string_view map :
       {"DATASETS.DEFINE.", "TEST.EXPECTED_RESULTS.", "QUANTIZATION.OPTIONS."}) {
    if (starts_with(argument, map)) return true;
  }
  constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return !argument.empty() && kCapitals.find(argument[0]) != std::string_view::npos &&
         argument.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") ==
             std::string_view::npos;
}

}  // namespace

CommandLine split_overrides(int argc, const char* const* argv,
                            const std::set<std::string>& options_with_values) {
  CommandLine line;
  bool overriding = false;
  for (int i = 1; i < argc; ++i) {
    overriding = overriding || is_key(argv[i]);
    const bool option = !overriding || starts_with(argv[i], "--");
    auto& part = option ? line.options : line.overrides;
    part.emplace_back(argv[i]);
    const bool takes_value = !option || options_with_values.count(argv[i]) > 0;
    if (takes_value && i + 1 < argc) part.emplace_back(argv[++i]);
  }
  return line;
}

}  // namespace ssdq
