// Images per second of training steps (forward, multibox loss, backward, SGD) on one rank and on
// several, each a process with one compute thread; what is reduced in a step, and the time that
// takes. Run in the source folder; see --help.
//
// Ranks that take a step together also share what the machine's cores share: memory bandwidth,
// caches, clock. "apart" is so many processes at once that say nothing to each other.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/program_options.hpp>

#include "rank_steps.h"
#include "ssdq/distributed/launcher.h"
#include "ssdq/engine/launch.h"
#include "ssdq/utils/error.h"

namespace {

namespace po = boost::program_options;

struct Settings {
  RankSettings rank;
  int ranks = 2;
  int rounds = 2;
};

struct Variant {
  std::string name;
  int ranks = 1;
  std::vector<std::string> flags;
};

constexpr double Figures::*kColumns[] = {
    &Figures::seconds,          &Figures::buckets,   &Figures::bytes,
    &Figures::communicating,    &Figures::waiting,   &Figures::calls,
    &Figures::statistics_bytes, &Figures::statistics};

void write_steps(const std::vector<Figures>& steps, const std::string& file) {
  std::ofstream stream(file);
  for (const auto& step : steps) {
    for (const auto column : kColumns) {
      stream << fmt::format("{} ", step.*column);
    }
    stream << '\n';
  }
}

std::vector<Figures> read_steps(const std::string& file) {
  std::ifstream stream(file);
  std::vector<Figures> steps;
  while (true) {
    Figures step;
    for (const auto column : kColumns) {
      stream >> step.*column;
    }
    if (!stream) {
      return steps;
    }
    steps.push_back(step);
  }
}

std::vector<Figures> measure(const Settings& settings, const Variant& variant) {
  const auto file = (std::filesystem::temp_directory_path() /
                     fmt::format("ssdq_bench_ranks_{}", static_cast<int64_t>(::getpid())))
                        .string();
  ssdq::LaunchOptions options;
  options.processes = variant.ranks;
  std::vector<std::string> arguments{"bench_ranks"};
  const auto add = [&](const char* name, const auto& value) {
    arguments.push_back(fmt::format("--{}={}", name, value));
  };
  add("rank-file", file);
  add("config", settings.rank.config);
  add("batch", settings.rank.batch);
  add("steps", settings.rank.steps);
  add("bucket-mb", settings.rank.bucket_mb);
  arguments.insert(arguments.end(), variant.flags.begin(), variant.flags.end());
  SSDQ_CHECK(ssdq::launch(options, arguments) == ssdq::kExitOk,
             "{} on {} ranks failed; its message is above", variant.name, variant.ranks);
  auto steps = read_steps(file);
  std::filesystem::remove(file);
  return steps;
}

// Of each column by itself.
Figures medians(const std::vector<Figures>& steps) {
  Figures result;
  for (const auto column : kColumns) {
    std::vector<double> values;
    for (const auto& step : steps) {
      values.push_back(step.*column);
    }
    std::sort(values.begin(), values.end());
    result.*column = values[values.size() / 2];
  }
  return result;
}

void compare(const Settings& settings) {
  const int n = settings.ranks;
  const std::vector<Variant> variants{{"one rank", 1, {}},
                                      {"apart", n, {"--apart"}},
                                      {"together", n, {}},
                                      {"bf16 gradients", n, {"--bf16-gradients"}},
                                      {"SYNC_BN false", n, {"--no-sync-bn"}}};
  // Variants take turns, so that a machine that is busy for a while slows all of them.
  std::vector<std::vector<Figures>> steps(variants.size());
  for (int round = 0; round < settings.rounds; ++round) {
    for (size_t i = 0; i < variants.size(); ++i) {
      const auto more = measure(settings, variants[i]);
      steps[i].insert(steps[i].end(), more.begin(), more.end());
    }
  }
  std::cout << fmt::format(
      "{:15} {:>5} {:>8} {:>9} {:>10} {:>7} {:>8} {:>10} {:>8} {:>6} {:>9} {:>7}\n", "variant",
      "ranks", "step s", "images/s", "efficiency", "buckets", "MB", "reducing", "waiting", "calls",
      "their kB", "their s");
  double alone = 0;
  for (size_t i = 0; i < variants.size(); ++i) {
    const Figures step = medians(steps[i]);
    const int ranks = variants[i].ranks;
    const double images = static_cast<double>(ranks * settings.rank.batch) / step.seconds;
    alone = i == 0 ? images : alone;
    std::cout << fmt::format(
        "{:15} {:5} {:8.4f} {:9.2f} {:10.3f} {:7} {:8.2f} {:10.4f} {:8.4f} {:6} {:9.1f} {:7.4f}\n",
        variants[i].name, ranks, step.seconds, images, images / (ranks * alone), step.buckets,
        step.bytes / 1e6, step.communicating, step.waiting, step.calls, step.statistics_bytes / 1e3,
        step.statistics);
  }
}

int run(int argc, char** argv) {
  Settings settings;
  std::string rank_file;
  po::options_description options("Options");
  auto add = options.add_options();
  add("config", po::value(&settings.rank.config)->default_value(settings.rank.config), "YAML");
  add("batch", po::value(&settings.rank.batch)->default_value(settings.rank.batch),
      "images of a rank");
  add("ranks", po::value(&settings.ranks)->default_value(settings.ranks), "beside one");
  add("steps", po::value(&settings.rank.steps)->default_value(settings.rank.steps), "of a turn");
  add("rounds", po::value(&settings.rounds)->default_value(settings.rounds), "turns");
  add("bucket-mb", po::value(&settings.rank.bucket_mb)->default_value(settings.rank.bucket_mb),
      "of gradients, as DISTRIBUTED.BUCKET_MB");
  add("help,h", "print this");
  po::options_description all;
  all.add(options);
  auto own = all.add_options();
  own("rank-file", po::value(&rank_file));  // this process is a rank
  own("apart", "");
  own("bf16-gradients", "");
  own("no-sync-bn", "");
  po::variables_map given;
  try {
    po::store(po::parse_command_line(argc, argv, all), given);
    po::notify(given);
  } catch (const po::error& error) {
    ssdq::fail_config("{}; see --help", error.what());
  }
  if (given.count("help") > 0) {
    std::cout << "Training steps on one rank and on several.\n\n" << options;
    return ssdq::kExitOk;
  }
  SSDQ_CHECK_CONFIG(settings.rank.batch > 0 && settings.ranks > 1 && settings.rank.steps > 0 &&
                        settings.rounds > 0,
                    "--batch, --steps and --rounds must be at least 1, --ranks at least 2");
  if (!rank_file.empty()) {
    settings.rank.together = given.count("apart") == 0;
    settings.rank.bfloat16 = given.count("bf16-gradients") > 0;
    settings.rank.sync_bn = given.count("no-sync-bn") == 0;
    const auto world = ssdq::world_from_environment();
    const auto steps = train_rank(settings.rank, world);
    if (world.rank == 0) {
      write_steps(steps, rank_file);
    }
    return ssdq::kExitOk;
  }
  std::cout << fmt::format(
                   "{}: {} images of each rank in a step, one thread, medians of {} steps\n",
                   settings.rank.config, settings.rank.batch, settings.rank.steps * settings.rounds)
            << std::flush;
  compare(settings);
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("bench_ranks", [&] { return run(argc, argv); });
}
