#include <filesystem>
#include <iostream>
#include <string>

#include <fmt/format.h>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/engine/launch.h"
#include "ssdq/utils/error.h"

namespace {

constexpr const char* kUsage =
    "usage: strip_checkpoint IN OUT\n\n"
    "Writes a checkpoint without what only training needs (optimizer, hooks, random state): "
    "averaged weights where there\n"
    "are some, configuration, graph and class names, at a third of the size:\n"
    "  strip_checkpoint outputs/run/model_final.safetensors detector.safetensors\n";

int run(int argc, char** argv) {
  if (argc == 2 && (std::string(argv[1]) == "--help" || std::string(argv[1]) == "-h")) {
    std::cout << kUsage;
    return ssdq::kExitOk;
  }
  SSDQ_CHECK_CONFIG(argc == 3, "expected an input and an output file, got {} arguments; see --help",
                    argc - 1);
  const auto checkpoint = ssdq::load_checkpoint(argv[1]);
  SSDQ_CHECK(!checkpoint.weights_only, "{}: holds bare weights already; there is nothing to strip",
             argv[1]);
  ssdq::save_checkpoint(argv[2], ssdq::strip_for_inference(checkpoint));
  const auto kib = [](const char* path) {
    return static_cast<double>(std::filesystem::file_size(path)) / 1024;
  };
  std::cout << fmt::format("{}: {:.0f} KiB, was {:.0f} KiB\n", argv[2], kib(argv[2]), kib(argv[1]));
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("strip_checkpoint", [&] { return run(argc, argv); });
}
