#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "ssdq/distributed/launcher.h"

// Options of tools that start their ranks themselves.

// --num-gpus, --num-procs, --num-machines, --machine-rank, --dist-url, --max-restarts
void add_launch_options(boost::program_options::options_description& options);

// Nothing when none was given: this process is itself a rank, or all there is. Throws ConfigError
// for options that contradict each other, or when this process was itself started as a rank.
std::optional<ssdq::LaunchOptions> read_launch_options(
    const boost::program_options::variables_map& given);

// What the ranks are started with: the command line without those options.
std::vector<std::string> without_launch_options(int argc, char** argv);
