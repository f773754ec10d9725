#include <iostream>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/demo.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/registries.h"
#include "ssdq/utils/error.h"

namespace po = boost::program_options;

namespace {

constexpr const char* kUsage =
    "usage: demo --config-file FILE --weights FILE [options] INPUT... [KEY VALUE ...]\n\n"
    "Draws detections on images, folders of images, videos, or a camera, and prints objects, times "
    "and FPS:\n"
    "  demo --config-file outputs/quickstart/w8a8/config.yaml \\\n"
    "       --weights outputs/quickstart/w8a8/model_final.safetensors datasets/bccd/JPEGImages\n"
    "  demo --config-file C --weights W --webcam --score-threshold 0.6\n\n";

po::options_description describe() {
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", "this text");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("weights", po::value<std::string>(),
      "checkpoint; default: MODEL.WEIGHTS of the configuration");
  add("output", po::value<std::string>()->default_value("outputs/demo"),
      "folder for the annotated files");
  add("score-threshold", po::value<float>()->default_value(0.7F), "least score drawn, 0..1");
  add("webcam", "read from the first camera until q is pressed or the stream ends");
  add("input", po::value<std::vector<std::string>>(), "images, folders, videos");
  return options;
}

int run(int argc, char** argv) {
  const auto options = describe();
  po::positional_options_description positional;
  positional.add("input", -1);
  const auto [given, overrides] = parse_arguments(argc, argv, options, positional);
  if (given.count("help") != 0) {
    std::cout << kUsage << options;
    return ssdq::kExitOk;
  }
  const auto config_file = required_config(given);
  ssdq::DemoOptions demo;
  demo.output_dir = given["output"].as<std::string>();
  demo.score_threshold = given["score-threshold"].as<float>();
  demo.webcam = given.count("webcam") != 0;
  if (given.count("weights") != 0) {
    demo.weights = given["weights"].as<std::string>();
  }
  if (given.count("input") != 0) {
    demo.inputs = given["input"].as<std::vector<std::string>>();
  }
  const auto loaded = ssdq::load_config(config_file, overrides);
  auto registries = ssdq::builtin_registries();
  return ssdq::run_demo(loaded, demo, registries);
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("demo", [&] { return run(argc, argv); });
}
