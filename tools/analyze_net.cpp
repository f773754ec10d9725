#include <iostream>
#include <string>

#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/model_cost.h"
#include "ssdq/utils/error.h"

namespace po = boost::program_options;

namespace {

constexpr const char* kUsage =
    "usage: analyze_net --config-file FILE [options] [KEY VALUE ...]\n\n"
    "Prints what each node of a detector costs: parameters, multiply-adds, bit operations, bytes, "
    "time.\nKEY VALUE pairs override the last configuration given:\n"
    "  analyze_net --config-file configs/vgg_bn_ssd300_quan_w8a8.yaml --measure 10\n"
    "  analyze_net --config-file configs/vgg_ssd300_voc0712.yaml \\\n"
    "              --compare configs/vgg_bn_ssd300_quan_w4a4.yaml --markdown\n\n";

struct Arguments {
  std::string config_file, compare;
  int runs = 0;
  bool json = false, markdown = false, help = false;
};

po::options_description describe(Arguments& arguments) {
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", po::bool_switch(&arguments.help), "this text");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("compare", po::value(&arguments.compare), "a second one to set beside it");
  add("measure", po::value(&arguments.runs),
      "milliseconds of each node: the median of this many "
      "passes");
  add("json", po::bool_switch(&arguments.json), "print JSON");
  add("markdown", po::bool_switch(&arguments.markdown), "print Markdown tables");
  return options;
}

std::string report(const Arguments& arguments, const std::vector<std::string>& overrides) {
  auto registries = ssdq::builtin_registries();
  const auto cost_of = [&](const std::string& file, const std::vector<std::string>& changes) {
    const auto loaded = ssdq::load_config(file, changes);
    return ssdq::model_cost(ssdq::build_experiment(loaded.config, loaded.file, registries),
                            arguments.runs);
  };
  const auto style = arguments.markdown ? ssdq::TableStyle::kMarkdown : ssdq::TableStyle::kText;
  if (arguments.compare.empty()) {
    const auto model = cost_of(arguments.config_file, overrides);
    return arguments.json ? ssdq::cost_json(model) : ssdq::cost_report(model, style);
  }
  const auto before = cost_of(arguments.config_file, {});
  const auto after = cost_of(arguments.compare, overrides);
  return arguments.json ? ssdq::cost_json(before, &after)
                        : ssdq::comparison_report(before, after, style);
}

int run(int argc, char** argv) {
  Arguments arguments;
  const auto options = describe(arguments);
  const auto line = parse_arguments(argc, argv, options);
  if (arguments.help) {
    std::cout << kUsage << options;
    return ssdq::kExitOk;
  }
  arguments.config_file = required_config(line.given);
  SSDQ_CHECK_CONFIG(!arguments.json || !arguments.markdown,
                    "--json and --markdown were both given; expected one of them");
  std::cout << report(arguments, line.overrides);
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("analyze_net", [&] { return run(argc, argv); });
}
