#include "ssdq/config/overrides.h"

#include <algorithm>
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
  int i = 1;
  for (; i < argc && !is_key(argv[i]); ++i) {
    line.options.emplace_back(argv[i]);
    if (options_with_values.count(argv[i]) > 0 && i + 1 < argc)
      line.options.emplace_back(argv[++i]);
  }
  line.overrides.assign(argv + i, argv + std::max(i, argc));
  return line;
}

}  // namespace ssdq
