#include <algorithm>
#include <iostream>
#include <string>

#include <fmt/format.h>

#include "ssdq/engine/launch.h"
#include "ssdq/engine/registries.h"
#include "ssdq/utils/error.h"

namespace {

constexpr const char* kUsage =
    "usage: list [KIND]\n\n"
    "Prints every component that a configuration can name, a line each:\n"
    "  list\n"
    "  list quantizers\n";

int run(int argc, char** argv) {
  const std::string wanted = argc > 1 ? argv[1] : "";
  if (wanted == "--help" || wanted == "-h") {
    std::cout << kUsage;
    return ssdq::kExitOk;
  }
  SSDQ_CHECK_CONFIG(argc <= 2, "expected at most one kind, got {} arguments; see --help", argc - 1);
  const auto registries = ssdq::builtin_registries();
  std::string kinds;
  bool found = false;
  for (const auto& list : ssdq::list_components(registries)) {
    kinds += (kinds.empty() ? "" : ", ") + list.kind;
    if (!wanted.empty() && wanted != list.kind) {
      continue;
    }
    found = true;
    std::cout << fmt::format("{} ({})\n", list.kind, list.key);
    for (const auto& [name, summary] : list.entries) {
      std::cout << fmt::format("  {:28} {}\n", name, summary);
    }
  }
  SSDQ_CHECK_CONFIG(found, "unknown kind '{}' (known: {})", wanted, kinds);
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("list", [&] { return run(argc, argv); });
}
