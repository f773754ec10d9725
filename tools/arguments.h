#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "ssdq/config/overrides.h"
#include "ssdq/utils/error.h"

// What the tools' command lines have in common: options, positional arguments, and KEY VALUE pairs
// that override the configuration. Mistakes throw ConfigError.

struct ToolArguments {
  boost::program_options::variables_map given;
  std::vector<std::string> overrides;
};

inline ToolArguments parse_arguments(
    int argc, char** argv, const boost::program_options::options_description& options,
    const boost::program_options::positional_options_description& positional = {}) {
  namespace po = boost::program_options;
  std::set<std::string> with_values;
  for (const auto& option : options.options()) {
    if (option->semantic()->max_tokens() > 0) {
      with_values.insert("--" + option->long_name());
    }
  }
  const auto line = ssdq::split_overrides(argc, argv, with_values);
  ToolArguments arguments;
  arguments.overrides = line.overrides;
  try {
    po::store(po::command_line_parser(line.options).options(options).positional(positional).run(),
              arguments.given);
    po::notify(arguments.given);
  } catch (const po::too_many_positional_options_error&) {
    ssdq::fail_config(
        "only options and KEY VALUE pairs are expected; a configuration is given as --config-file "
        "FILE; see --help");
  } catch (const po::error& error) {
    ssdq::fail_config("{}; see --help", error.what());
  }
  return arguments;
}

inline std::string required(const boost::program_options::variables_map& given, const char* name,
                            const char* expected) {
  SSDQ_CHECK_CONFIG(given.count(name) != 0, "--{} is missing; expected {}; see --help", name,
                    expected);
  return given[name].as<std::string>();
}

// --config-file, which every tool describes as a string.
inline std::string required_config(const boost::program_options::variables_map& given) {
  return required(given, "config-file", "a YAML file");
}

// For tools with --force.
inline void refuse_overwriting(const boost::program_options::variables_map& given,
                               const std::string& output) {
  SSDQ_CHECK_CONFIG(given.count("force") != 0 || !std::filesystem::exists(output),
                    "{}: exists already; add --force to replace it", output);
}
