#include "launch_arguments.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "ssdq/distributed/world.h"
#include "ssdq/utils/error.h"

namespace po = boost::program_options;

namespace {

constexpr std::array<const char*, 6> kNames{"num-gpus",     "num-procs", "num-machines",
                                            "machine-rank", "dist-url",  "max-restarts"};

int number(const po::variables_map& given, const char* name, int otherwise) {
  return given.count(name) != 0 ? given[name].as<int>() : otherwise;
}

}  // namespace

void add_launch_options(po::options_description& options) {
  auto add = options.add_options();
  add("num-gpus", po::value<int>(), "start so many processes here, one for each GPU");
  add("num-procs", po::value<int>(), "start so many processes here, on the CPU");
  add("num-machines", po::value<int>(), "machines that take part, each started with these options");
  add("machine-rank", po::value<int>(), "number of this machine, from 0");
  add("dist-url", po::value<std::string>(),
      "tcp://host:port of machine 0; on one machine a free port is found");
  add("max-restarts", po::value<int>(),
      "when a process fails, start all again so many times, from the newest checkpoint");
}

std::optional<ssdq::LaunchOptions> read_launch_options(const po::variables_map& given) {
  const auto used = std::find_if(kNames.begin(), kNames.end(),
                                 [&](const char* name) { return given.count(name) != 0; });
  if (used == kNames.end()) {
    return std::nullopt;
  }
  SSDQ_CHECK_CONFIG(
      !ssdq::process_environment()("RANK") && ssdq::world_from_environment().size == 1,
      "--{} starts processes, but this one was itself started as one of several; leave out either "
      "the option or torchrun, srun or mpirun",
      *used);
  SSDQ_CHECK_CONFIG(given.count("num-gpus") == 0 || given.count("num-procs") == 0,
                    "--num-gpus and --num-procs were both given; one process runs on each GPU, so "
                    "--num-gpus is enough");
  ssdq::LaunchOptions options;
  options.processes = number(given, "num-gpus", number(given, "num-procs", 1));
  options.machines = number(given, "num-machines", 1);
  options.machine_rank = number(given, "machine-rank", 0);
  options.max_restarts = number(given, "max-restarts", 0);
  if (given.count("dist-url") != 0) {
    options.dist_url = given["dist-url"].as<std::string>();
  }
  return options;
}

std::vector<std::string> without_launch_options(int argc, char** argv) {
  std::vector<std::string> rest;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    const auto name = argument.substr(0, argument.find('='));
    const bool ours = name.substr(0, 2) == "--" &&
                      std::find(kNames.begin(), kNames.end(), name.substr(2)) != kNames.end();
    if (!ours) {
      rest.emplace_back(argument);
    } else if (name.size() == argument.size()) {
      ++i;  // its value
    }
  }
  return rest;
}
