#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/config/paths.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/magnitude_prune.h"
#include "ssdq/engine/prune.h"
#include "ssdq/engine/prune_files.h"
#include "ssdq/engine/registries.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace po = boost::program_options;

namespace {

constexpr const char* kUsage =
    "usage: prune_net --config-file FILE --weights FILE\n"
    "                 (--percent P | --flops F | --params F | --latency-ms T | --sweep P,P,...)\n"
    "                 [options] [KEY VALUE ...]\n\n"
    "Removes the channels of a trained detector that matter least and writes the smaller one with\n"
    "its configuration, which every other tool takes (docs/pruning.md):\n"
    "  prune_net --config-file configs/vgg_mini_ssd300_bccd.yaml \\\n"
    "            --weights datasets/bccd/vgg_mini_ssd300_bccd.safetensors --percent 0.3 \\\n"
    "            --output outputs/pruned\n\n";

struct Target {
  const char* option;
  ssdq::PruneTarget target;
};

constexpr Target kTargets[] = {{"percent", ssdq::PruneTarget::kPercent},
                               {"flops", ssdq::PruneTarget::kFlops},
                               {"params", ssdq::PruneTarget::kParameters},
                               {"latency-ms", ssdq::PruneTarget::kLatency}};

void add_targets(po::options_description& options) {
  auto add = options.add_options();
  add("percent", po::value<double>(), "share of the channels to remove, 0 to less than 1");
  add("flops", po::value<double>(),
      "FLOPs that shall remain, met within 2 %: up to 1 as a share, else a number such as 3e8; "
      "twice the MACs");
  add("params", po::value<double>(), "the same of parameters");
  add("latency-ms", po::value<double>(),
      "milliseconds of an image, measured here with NUM_THREADS, met within 2 %");
  add("sweep", po::value<std::string>(),
      "percentages such as 0.1,0.3,0.5: only the curve of accuracy over cost");
}

po::options_description describe() {
  po::options_description options("options");
  add_targets(options);
  auto add = options.add_options();
  add("help,h", "this text");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("weights", po::value<std::string>(),
      "checkpoint; default: MODEL.WEIGHTS of the configuration");
  add("scope", po::value<std::string>()->default_value(""),
      "normal, shortcut (channels of adds too) or all (those of depthwise convolutions too); "
      "default: PRUNE.TYPE, normal when that is none");
  add("importance", po::value<std::string>()->default_value("bn"),
      "bn, l1, l2, fpgm, lamp, taylor, random (`list importances`); or magnitude, of single "
      "weights");
  add("score-batches", po::value<int>()->default_value(16),
      "training batches that --importance taylor reads");
  add("granularity", po::value<std::string>()->default_value("channel"),
      "channel, or weight with --importance magnitude");
  add("amount", po::value<double>(), "share of the weights to zero, with --granularity weight");
  add("regular", po::value<bool>()->default_value(false),
      "1: channel counts rounded up to multiples");
  add("multiple", po::value<int>()->default_value(8), "of what, with --regular 1");
  add("max", po::value<bool>()->default_value(false), "1: drop levels that carry nothing");
  add("compensation", po::value<std::string>()->default_value("constant"),
      "what reads removed channels gets their constant part: none, constant (by biases) or exact "
      "(at borders too, for a channel more in some layers)");
  add("bn-batches", po::value<int>()->default_value(0),
      "training batches that estimate batch norms anew after pruning");
  add("output", po::value<std::string>()->default_value(""),
      "folder to write into; default: pruned in OUTPUT_DIR");
  add("quick", po::value<bool>()->default_value(false), "1: evaluate masks, write nothing");
  add("force", "replace what exists");
  add("verify", po::value<std::vector<std::string>>()->multitoken(),
      "YAML WEIGHTS EXPECTED: compare pruned files with expected outputs; prune_net runs itself "
      "with it");
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

ssdq::Compensation parse_compensation(const std::string& name) {
  for (const auto one :
       {ssdq::Compensation::kNone, ssdq::Compensation::kConstant, ssdq::Compensation::kExact}) {
    if (name == ssdq::to_string(one)) return one;
  }
  ssdq::fail_config("--compensation must be none, constant or exact, got '{}'", name);
}

int at_least(const po::variables_map& given, const char* name, int least) {
  const int value = given[name].as<int>();
  SSDQ_CHECK_CONFIG(value >= least, "--{} is {}; expected {} or more", name, value, least);
  return value;
}

void check_percent(const char* option, double value) {
  SSDQ_CHECK_CONFIG(value >= 0 && value < 1,
                    "--{} is {}; expected at least 0 and less than 1, such as 0.5", option, value);
}

// Exactly one of the targets, unless a sweep takes their place.
void read_target(const po::variables_map& given, ssdq::PruneOptions& options) {
  int found = static_cast<int>(given.count("sweep"));
  for (const auto& [option, target] : kTargets) {
    if (given.count(option) == 0) continue;
    ++found;
    options.target = target;
    options.target_value = given[option].as<double>();
    if (target == ssdq::PruneTarget::kPercent) {
      check_percent(option, options.target_value);
    } else {
      SSDQ_CHECK_CONFIG(options.target_value > 0, "--{} is {}; expected more than 0", option,
                        options.target_value);
    }
  }
  SSDQ_CHECK_CONFIG(found == 1,
                    "{} of --percent, --flops, --params, --latency-ms and --sweep are given; "
                    "expected one, such as --percent 0.5; see --help",
                    found);
}

std::vector<double> sweep_percents(const std::string& list) {
  std::vector<double> percents;
  for (const auto& word : ssdq::split(list, ',')) {
    char* end = nullptr;
    const double percent = std::strtod(word.c_str(), &end);
    SSDQ_CHECK_CONFIG(!word.empty() && *end == '\0',
                      "--sweep: '{}' is not a number; expected percentages such as 0.1,0.3,0.5",
                      word);
    check_percent("sweep", percent);
    percents.push_back(percent);
  }
  return percents;
}

ssdq::PruneJob prune_job(const po::variables_map& given, const ssdq::LoadedConfig& loaded) {
  ssdq::PruneJob job;
  read_target(given, job.options);
  job.options.weights = weights_of(given, loaded);
  job.options.scope = given["scope"].as<std::string>();
  job.options.importance = given["importance"].as<std::string>();
  job.options.score_batches = at_least(given, "score-batches", 1);
  job.options.rounding = {given["regular"].as<bool>(), at_least(given, "multiple", 1)};
  job.options.drop_levels = given["max"].as<bool>();
  job.options.compensation = parse_compensation(given["compensation"].as<std::string>());
  job.output = given["output"].as<std::string>();
  job.quick = given["quick"].as<bool>();
  job.force = given.count("force") != 0;
  job.bn_batches = at_least(given, "bn-batches", 0);
  job.verifier = {"/proc/self/exe", "--verify"};
  return job;
}

// An option that would do nothing is a mistake.
void refuse(const po::variables_map& given, const std::vector<const char*>& options,
            const char* reason) {
  for (const char* option : options) {
    SSDQ_CHECK_CONFIG(given.count(option) == 0 || given[option].defaulted(),
                      "--{} does nothing {}; leave it out", option, reason);
  }
}

void refuse_idle_options(const po::variables_map& given, bool of_weights) {
  if (of_weights) {
    refuse(given,
           {"percent", "flops", "params", "latency-ms", "sweep", "scope", "score-batches",
            "regular", "multiple", "max", "compensation", "bn-batches", "quick"},
           "with --granularity weight");
    return;
  }
  refuse(given, {"amount"}, "without --granularity weight");
  if (given.count("sweep") != 0) {
    refuse(given, {"quick", "bn-batches"}, "with --sweep");
  }
  if (given["quick"].as<bool>()) {
    refuse(given, {"bn-batches"}, "with --quick 1");
  }
  if (!given["regular"].as<bool>()) {
    refuse(given, {"multiple"}, "without --regular 1");
  }
}

void print_files(const std::vector<std::string>& files) {
  if (!files.empty()) {
    std::cout << '\n';
  }
  for (const auto& file : files) {
    std::cout << file << '\n';
  }
}

int prune_weights(const po::variables_map& given, const ssdq::LoadedConfig& loaded,
                  ssdq::Registries& registries) {
  SSDQ_CHECK_CONFIG(given.count("amount") != 0,
                    "--amount is missing; expected the share of the weights to zero, such as 0.5");
  ssdq::MagnitudePruneOptions options;
  options.weights = weights_of(given, loaded);
  options.output = given["output"].as<std::string>();
  options.amount = given["amount"].as<double>();
  options.force = given.count("force") != 0;
  const auto report = ssdq::run_magnitude_pruning(loaded, options, registries);
  std::cout << ssdq::magnitude_report_text(report, ssdq::TableStyle::kText);
  print_files(report.files);
  return ssdq::kExitOk;
}

int run(int argc, char** argv) {
  const auto options = describe();
  const auto [given, overrides] = parse_arguments(argc, argv, options);
  if (given.count("help") != 0) {
    std::cout << kUsage << options;
    return ssdq::kExitOk;
  }
  auto registries = ssdq::builtin_registries();
  if (given.count("verify") != 0) {
    const auto files = given["verify"].as<std::vector<std::string>>();
    SSDQ_CHECK_CONFIG(files.size() == 3, "--verify takes 3 files, got {}", files.size());
    ssdq::verify_pruned(files[0], files[1], files[2], registries);
    return ssdq::kExitOk;
  }
  const auto loaded = ssdq::load_config(required_config(given), overrides);
  const bool of_weights = given["granularity"].as<std::string>() == "weight";
  SSDQ_CHECK_CONFIG(of_weights || given["granularity"].as<std::string>() == "channel",
                    "--granularity must be channel or weight, got '{}'",
                    given["granularity"].as<std::string>());
  SSDQ_CHECK_CONFIG(of_weights == (given["importance"].as<std::string>() == "magnitude"),
                    "--granularity weight and --importance magnitude go together; channels have "
                    "other importances");
  refuse_idle_options(given, of_weights);
  if (of_weights) {
    return prune_weights(given, loaded, registries);
  }
  const auto job = prune_job(given, loaded);
  if (given.count("sweep") != 0) {
    const auto report = ssdq::run_prune_sweep(
        loaded, job, sweep_percents(given["sweep"].as<std::string>()), registries);
    std::cout << ssdq::sweep_report_text(report, ssdq::TableStyle::kText);
    return ssdq::kExitOk;
  }
  const auto report = ssdq::run_pruning(loaded, job, registries);
  std::cout << ssdq::prune_report_text(report, ssdq::TableStyle::kText);
  print_files(report.files);
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("prune_net", [&] { return run(argc, argv); });
}
