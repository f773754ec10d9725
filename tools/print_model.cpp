#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/histograms.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/model_cost.h"
#include "ssdq/engine/weights.h"
#include "ssdq/graph/svg.h"
#include "ssdq/graph/tree.h"
#include "ssdq/quantization/policy.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"

namespace po = boost::program_options;

namespace {

constexpr const char* kUsage =
    "usage: print_model --config-file FILE [options] [KEY VALUE ...]\n\n"
    "Prints the structure of a detector as a tree, draws its graph, and histograms of its "
    "quantized "
    "weights and\nof what its layers get from test images, with the ranges of the quantizers:\n"
    "  print_model --config-file configs/mobilenet_v2_ssd320_voc0712.yaml --svg model.svg\n"
    "  print_model --config-file configs/vgg_mini_ssd300_bccd_quan_w8a8.yaml \\\n"
    "              --histograms histograms --weights model_final.safetensors\n\n";

struct Arguments {
  std::string config_file, svg, histograms, weights;
  int images = 0;
  bool help = false;
};

po::options_description describe(Arguments& arguments) {
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", po::bool_switch(&arguments.help), "this text");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("svg", po::value(&arguments.svg), "draw the graph to this file");
  add("histograms", po::value(&arguments.histograms),
      "folder for a picture of each quantized weight; needs --weights");
  add("images", po::value(&arguments.images),
      "also draw inputs of quantized layers, from this many images of DATASETS.TEST");
  add("weights", po::value(&arguments.weights), "checkpoint of the detector");
  return options;
}

void check(const Arguments& arguments) {
  SSDQ_CHECK_CONFIG(arguments.histograms.empty() == arguments.weights.empty(),
                    "--histograms and --weights belong together; one of them is missing");
  SSDQ_CHECK_CONFIG(
      arguments.images >= 0 && (arguments.images == 0 || !arguments.histograms.empty()),
      "--images is {}; expected a number above 0 and --histograms FOLDER", arguments.images);
}

void draw_histograms(ssdq::Detector& detector, const ssdq::Experiment& experiment,
                     const ssdq::LoadedConfig& loaded, const Arguments& arguments) {
  const auto& folder = arguments.histograms;
  SSDQ_CHECK_CONFIG(ssdq::quantization_enabled(loaded.config.quantization),
                    "{}: QUANTIZATION.TYPE is none; there is no range to draw", loaded.file);
  ssdq::load_for_evaluation(detector, experiment, loaded.origins);
  std::cout << fmt::format("{}: {} weights\n", folder,
                           ssdq::write_weight_histograms(detector, folder));
  if (arguments.images > 0) {
    const auto dataset = ssdq::open_datasets(experiment, loaded.config.datasets.test, false);
    std::cout << fmt::format(
        "{}: inputs of {} quantizers\n", folder,
        ssdq::write_input_histograms(detector, experiment, *dataset, arguments.images, folder));
  }
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
  check(arguments);
  std::vector<std::string> overrides = line.overrides;
  if (!arguments.weights.empty()) {
    overrides.insert(overrides.end(), {"MODEL.WEIGHTS", arguments.weights});
  }
  const auto loaded = ssdq::load_config(arguments.config_file, overrides);
  auto registries = ssdq::builtin_registries();
  const auto experiment = ssdq::build_experiment(loaded.config, loaded.file, registries);
  auto detector = ssdq::build_detector(experiment);
  const auto cost = ssdq::cost(experiment.graph, ssdq::code_widths(detector));
  if (arguments.histograms.empty()) {
    std::cout << ssdq::graph_tree(experiment.graph, cost);
  } else {
    draw_histograms(detector, experiment, loaded, arguments);
  }
  if (!arguments.svg.empty()) {
    ssdq::write_file_atomically(arguments.svg,
                                ssdq::graph_svg(experiment.graph, cost, loaded.file));
  }
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("print_model", [&] { return run(argc, argv); });
}
