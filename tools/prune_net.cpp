#include <iostream>
#include <string>

#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/config/paths.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/prune.h"
#include "ssdq/engine/registries.h"
#include "ssdq/utils/error.h"

namespace po = boost::program_options;

namespace {

constexpr const char* kUsage =
    "usage: prune_net --config-file FILE --weights FILE --percent P [options] [KEY VALUE ...]\n\n"
    "Removes the channels of a trained detector that matter least and writes the smaller one with\n"
    "its configuration, which every other tool takes (docs/pruning.md):\n"
    "  prune_net --config-file configs/vgg_mini_ssd300_bccd.yaml \\\n"
    "            --weights datasets/bccd/vgg_mini_ssd300_bccd.safetensors --percent 0.3 \\\n"
    "            --output outputs/pruned\n\n";

po::options_description describe() {
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", "this text");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("weights", po::value<std::string>(),
      "checkpoint; default: MODEL.WEIGHTS of the configuration");
  add("percent", po::value<double>(), "share of the channels to remove, 0 to less than 1");
  add("scope", po::value<std::string>()->default_value(""),
      "normal, shortcut (channels of adds too) or all (those of depthwise convolutions too); "
      "default: PRUNE.TYPE, normal when that is none");
  add("importance", po::value<std::string>()->default_value("bn"), "bn, l1, l2 or random");
  add("regular", po::value<bool>()->default_value(false),
      "1: channel counts rounded up to multiples");
  add("multiple", po::value<int>()->default_value(8), "of what, with --regular 1");
  add("compensation", po::value<std::string>()->default_value("constant"),
      "none, or constant: what reads removed channels gets their constant part");
  add("output", po::value<std::string>()->default_value(""),
      "folder to write into; default: pruned in OUTPUT_DIR");
  add("quick", po::value<bool>()->default_value(false), "1: evaluate masks, write nothing");
  add("force", "replace what exists");
  return options;
}

ssdq::PruneOptions prune_options(const po::variables_map& given) {
  ssdq::PruneOptions options;
  SSDQ_CHECK_CONFIG(given.count("percent") != 0,
                    "--percent is missing; expected the share of the channels to remove, such as "
                    "0.5; see --help");
  options.selection.percent = given["percent"].as<double>();
  SSDQ_CHECK_CONFIG(options.selection.percent >= 0 && options.selection.percent < 1,
                    "--percent is {}; expected at least 0 and less than 1, such as 0.5",
                    options.selection.percent);
  options.selection.regular = given["regular"].as<bool>();
  options.selection.multiple = given["multiple"].as<int>();
  SSDQ_CHECK_CONFIG(options.selection.multiple >= 1, "--multiple is {}; expected 1 or more",
                    options.selection.multiple);
  options.scope = given["scope"].as<std::string>();
  options.importance = ssdq::parse_importance(given["importance"].as<std::string>());
  const auto compensation = given["compensation"].as<std::string>();
  SSDQ_CHECK_CONFIG(compensation == "none" || compensation == "constant",
                    "--compensation must be none or constant, got '{}'", compensation);
  options.compensate = compensation == "constant";
  options.output = given["output"].as<std::string>();
  options.quick = given["quick"].as<bool>();
  options.force = given.count("force") != 0;
  return options;
}

std::string weights_of(const po::variables_map& given, const ssdq::LoadedConfig& loaded) {
  if (given.count("weights") != 0) {
    return ssdq::resolve_path(given["weights"].as<std::string>(), "");
  }
  SSDQ_CHECK_CONFIG(!loaded.config.model.weights.empty(),
                    "no weights; expected --weights FILE or MODEL.WEIGHTS in the configuration");
  return ssdq::resolve_path(loaded.config.model.weights, loaded.file);
}

int run(int argc, char** argv) {
  const auto options = describe();
  const auto [given, overrides] = parse_arguments(argc, argv, options);
  if (given.count("help") != 0) {
    std::cout << kUsage << options;
    return ssdq::kExitOk;
  }
  const auto loaded = ssdq::load_config(required_config(given), overrides);
  auto prune = prune_options(given);
  prune.weights = weights_of(given, loaded);
  auto registries = ssdq::builtin_registries();
  const auto report = ssdq::run_pruning(loaded, prune, registries);
  std::cout << ssdq::prune_report_text(report, ssdq::TableStyle::kText);
  if (!report.files.empty()) {
    std::cout << '\n';
  }
  for (const auto& file : report.files) {
    std::cout << file << '\n';
  }
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("prune_net", [&] { return run(argc, argv); });
}
