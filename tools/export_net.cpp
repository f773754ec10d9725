#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/config/paths.h"
#include "ssdq/config/reader.h"
#include "ssdq/config/validate.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/registries.h"
#include "ssdq/engine/weights.h"
#include "ssdq/export/export_model.h"
#include "ssdq/export/formats.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

constexpr const char* kUsage =
    "usage: export_net --config-file FILE --weights FILE --format NAME --output FILE [options] "
    "[KEY VALUE ...]\n\n"
    "Writes a trained detector for other programs (docs/export.md):\n"
    "  export_net --config-file configs/vgg_mini_ssd300_bccd.yaml \\\n"
    "             --weights datasets/bccd/vgg_mini_ssd300_bccd.safetensors \\\n"
    "             --format onnx --outputs detections --static-batch 1 --output cells.onnx\n\n";

po::options_description describe() {
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", "this text and the formats");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("weights", po::value<std::string>(),
      "checkpoint; default: MODEL.WEIGHTS of the configuration");
  add("format", po::value<std::string>(), "one of the formats below");
  add("output", po::value<std::string>(), "file to write; text and bin: with a slash, a folder");
  add("force", "replace what exists");
  add("fold-bn",
      "safetensors, pth, text, bin: batch norm folded, weights as they are computed with");
  add("endian", po::value<std::string>()->default_value("little"), "bin: little or big");
  add("fixed-point", po::value<std::string>(),
      "text, bin: Qm.n, codes of 1 + m + n bits (such as Q3.4) instead of float32");
  add("outputs", po::value<std::string>()->default_value("raw"),
      "onnx*, torchscript: raw (logits and regressions), decoded (probabilities and boxes) or, "
      "onnx* alone, detections");
  add("opset", po::value<int>(), "onnx*: operator set, 11..19 (onnx-qdq: 13..19); default 17");
  add("ir-version", po::value<int>(), "onnx*: file version, 4..10; default: that of the opset");
  add("float-bias", "onnx-qdq: biases as they are instead of rounded to int32");
  add("static-batch", po::value<int>(), "onnx*: fixed number of images; default: any number");
  return options;
}

ssdq::ExportOptions export_options(const po::variables_map& given) {
  ssdq::ExportOptions options;
  options.onnx.heads = ssdq::parse_onnx_heads(given["outputs"].as<std::string>());
  if (given.count("opset") != 0) {
    options.onnx.opset = given["opset"].as<int>();
  }
  if (given.count("ir-version") != 0) {
    options.onnx.ir_version = given["ir-version"].as<int>();
  }
  if (given.count("static-batch") != 0) {
    options.onnx.dynamic_batch = false;
    options.onnx.batch_size = given["static-batch"].as<int>();
  }
  options.onnx.float_bias = given.count("float-bias") != 0;
  const auto endian = given["endian"].as<std::string>();
  SSDQ_CHECK_CONFIG(endian == "little" || endian == "big",
                    "--endian must be little or big, got '{}'", endian);
  options.weights.big_endian = endian == "big";
  options.weights.fold_batch_norm = given.count("fold-bn") != 0;
  if (given.count("fixed-point") != 0) {
    options.weights.fixed_point = ssdq::parse_fixed_point(given["fixed-point"].as<std::string>());
  }
  return options;
}

// In evaluation mode. Ranges that the file lacks come from training images, as with --eval-only.
ssdq::Detector load_detector(const ssdq::Experiment& experiment, const std::string& weights) {
  auto detector = ssdq::build_detector(experiment);
  ssdq::load_weights_and_ranges(detector, experiment, weights);
  detector->to(torch::kCPU);
  detector->eval();
  return detector;
}

ssdq::ExportModel load_model(const ssdq::LoadedConfig& loaded, const std::string& weights) {
  const auto registries = std::make_shared<ssdq::Registries>(ssdq::builtin_registries());
  ssdq::validate(loaded.config, loaded.origins, ssdq::known_names(*registries));
  const auto experiment = ssdq::build_experiment(loaded.config, loaded.file, *registries);
  const auto checkpoint = ssdq::load_checkpoint(weights);
  ssdq::ExportModel model;
  model.config = experiment.config;
  model.graph = experiment.graph;
  model.priors = experiment.priors;
  model.state = ssdq::inference_weights(checkpoint);
  model.weights_file = weights;
  model.detector = [registries, experiment, weights] { return load_detector(experiment, weights); };
  model.class_names = ssdq::class_names(checkpoint);
  return model;
}

void print_help(const po::options_description& options) {
  std::cout << kUsage << options << "\nformats:\n";
  for (const auto& format : ssdq::export_formats()) {
    std::cout << "  " << format.name << ": " << format.summary << '\n';
  }
}

// What a format writes for --output; a folder stands for the files in it.
std::vector<std::string> output_files(const std::string& output, const ssdq::ExportFormat& format) {
  const bool more = format.has_manifest && !ssdq::ends_with(output, "/");
  return more ? std::vector<std::string>{output, output + ".json"}
              : std::vector<std::string>{output};
}

int run(int argc, char** argv) {
  const auto options = describe();
  const auto [given, overrides] = parse_arguments(argc, argv, options);
  if (given.count("help") != 0) {
    print_help(options);
    return ssdq::kExitOk;
  }
  const auto config_file = required_config(given);
  const auto format_name = required(given, "format", "the name of a format");
  const auto& format = ssdq::find_export_format(format_name);
  const auto output = required(given, "output", "the file to write");
  const auto export_options = ::export_options(given);
  const auto files = output_files(output, format);
  for (const auto& file : files) {
    refuse_overwriting(given, file);
  }
  const auto loaded = ssdq::load_config(config_file, overrides);
  const auto weights = given.count("weights") != 0
                           ? given["weights"].as<std::string>()
                           : ssdq::resolve_path(loaded.config.model.weights, loaded.file);
  SSDQ_CHECK_CONFIG(!weights.empty(),
                    "no weights; expected --weights FILE or MODEL.WEIGHTS in the configuration");
  format.write(output, load_model(loaded, weights), export_options);
  for (const auto& file : files) {
    std::cout << file << ": " << format.name;
    if (fs::is_regular_file(file)) {
      std::cout << ", " << fs::file_size(file) / 1024 << " KiB";
    }
    std::cout << '\n';
  }
  return ssdq::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("export_net", [&] { return run(argc, argv); });
}
