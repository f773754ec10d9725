#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/checkpoint/caffe_file.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/checkpoint/file_kind.h"
#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/config/reader.h"
#include "ssdq/config/validate.h"
#include "ssdq/config/writer.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/registries.h"
#include "ssdq/engine/weights_import.h"
#include "ssdq/graph/text_table.h"
#include "ssdq/importing/import_state.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

constexpr const char* kUsage =
    "usage: import_weights --weights FILE --output FILE [--config-file FILE] [options] "
    "[KEY VALUE ...]\n\n"
    "Brings weights of another system into a checkpoint that MODEL.WEIGHTS takes "
    "(docs/import.md):\n"
    "  import_weights --weights mb2-ssd-lite-mp-0_686.pth --output mb2.safetensors \\\n"
    "                 --config-file configs/mobilenet_v2_ssd_lite300_voc0712.yaml\n"
    "Without --config-file it lists the tensors and converts the file by the ending of --output:\n"
    "  import_weights --weights model.pth --output model.safetensors\n"
    "A Caffe network is two files:\n"
    "  import_weights --weights ssd300.caffemodel --prototxt deploy.prototxt \\\n"
    "                 --output ssd300.safetensors --config-file "
    "configs/vgg_ssd300_voc0712.yaml\n\n";

po::options_description describe_options() {
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", "this text and the sources");
  add("weights", po::value<std::string>(),
      ".pth, .safetensors, .weights, .caffemodel or (with its .bin) .param file to read");
  add("prototxt", po::value<std::string>(), "description of the layers of a .caffemodel");
  add("output", po::value<std::string>(), ".safetensors or, without --config-file, .pth to write");
  add("config-file", po::value<std::string>(), "YAML configuration of the detector");
  add("source", po::value<std::string>()->default_value(""),
      "where the file comes from; default: told by its names");
  add("allow-missing", po::value<std::vector<std::string>>()->default_value({}, ""),
      "glob of tensors that may be missing and stay random; may be repeated");
  add("reset", po::value<std::vector<std::string>>()->default_value({}, ""),
      "glob of tensors that shall stay random, as 'head.cls.*'; may be repeated");
  add("force", "replace the output if it exists");
  return options;
}

std::string kib(const std::string& path) {
  return fmt::format("{}: {} KiB\n", path, fs::file_size(path) / 1024);
}

void print_tensors(const ssdq::State& tensors) {
  std::vector<std::vector<std::string>> rows = {{"tensor", "type", "shape"}};
  int64_t values = 0;
  for (const auto& [name, tensor] : tensors) {
    rows.push_back(
        {name, std::string(c10::toString(tensor.scalar_type())),
         fmt::format("[{}]", fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "))});
    values += tensor.numel();
  }
  std::cout << ssdq::text_table(rows, 3, ssdq::TableStyle::kText)
            << fmt::format("{} tensors, {} values\n", tensors.size(), values);
}

ssdq::TensorFile read_caffe(const po::variables_map& given, const std::string& weights) {
  auto file = ssdq::read_caffe(weights, required(given, "prototxt", "that of the .caffemodel"));
  if (const auto left_out = file.metadata.find("left_out"); left_out != file.metadata.end()) {
    std::cout << "note: the prototxt has not these layers of the file: " << left_out->second
              << '\n';
  }
  return file;
}

ssdq::TensorFile read_tensors(const po::variables_map& given, const std::string& weights) {
  return ssdq::is_caffe_file(weights) ? read_caffe(given, weights)
                                      : ssdq::read_tensor_file(weights);
}

ssdq::State foreign_state(const po::variables_map& given, const std::string& weights) {
  if (ssdq::is_caffe_file(weights)) {
    return read_caffe(given, weights).tensors;
  }
  const auto file = ssdq::load_checkpoint(weights);
  SSDQ_CHECK(file.weights_only, "{}: is a checkpoint of SSDQ already; give it as MODEL.WEIGHTS",
             weights);
  return file.model;
}

// Lists the file and, with an output, converts it.
int convert(const po::variables_map& given, const std::string& weights) {
  const auto file = read_tensors(given, weights);
  print_tensors(file.tensors);
  if (given.count("output") == 0) {
    return ssdq::kExitOk;
  }
  const auto output = given["output"].as<std::string>();
  refuse_overwriting(given, output);
  if (ssdq::ends_with(output, ".safetensors")) {
    ssdq::write_safetensors(output, file);
  } else if (ssdq::ends_with(output, ".pth") || ssdq::ends_with(output, ".pt")) {
    ssdq::write_pytorch(output, file.tensors);
  } else {
    ssdq::fail_config("--output: {} should end in .safetensors or .pth", output);
  }
  std::cout << kib(output);
  return ssdq::kExitOk;
}

void print_scaling(const ssdq::ImportSource& source, const ssdq::InputConfig& input) {
  if (!source.input) {
    return;
  }
  const auto& [mean, std] = *source.input;
  const auto same = [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  };
  if (!same(mean, input.pixel_mean) || !same(std, input.pixel_std)) {
    std::cout << fmt::format(
        "note: the source was trained on RGB images with mean {} and std {}; the configuration has "
        "{} and {}\n",
        fmt::join(mean, " "), fmt::join(std, " "), fmt::join(input.pixel_mean, " "),
        fmt::join(input.pixel_std, " "));
  }
}

int import(const po::variables_map& given, const std::string& weights,
           const std::vector<std::string>& overrides) {
  const auto output = required(given, "output", "a file");
  SSDQ_CHECK_CONFIG(ssdq::ends_with(output, ".safetensors"),
                    "--output: {} should end in .safetensors, as checkpoints do", output);
  refuse_overwriting(given, output);
  const auto loaded = ssdq::load_config(given["config-file"].as<std::string>(), overrides);
  auto registries = ssdq::builtin_registries();
  ssdq::validate(loaded.config, loaded.origins, ssdq::known_names(registries));
  const auto experiment = ssdq::build_experiment(loaded.config, loaded.file, registries);

  ssdq::ImportOptions options;
  options.source = given["source"].as<std::string>();
  options.allow_missing = given["allow-missing"].as<std::vector<std::string>>();
  options.reset = given["reset"].as<std::vector<std::string>>();
  const auto imported =
      ssdq::import_state(experiment.graph, foreign_state(given, weights), options);
  ssdq::check_complete(imported, weights);

  auto detector = ssdq::build_detector(experiment);
  const auto report = ssdq::load_state(*detector, imported.tensors);
  SSDQ_CHECK(report.unexpected.empty() && report.mismatched.empty(), "{}",
             ssdq::describe(report, weights));
  ssdq::set_input_ranges(*detector, imported.input_ranges);
  ssdq::Checkpoint checkpoint;
  checkpoint.model = ssdq::state(*detector);
  checkpoint.config_yaml = ssdq::to_yaml(experiment.config);
  checkpoint.graph_cfg = experiment.graph_cfg;
  checkpoint.extra["imported_from"] = imported.source->name;
  ssdq::save_checkpoint(output, checkpoint);
  std::cout << weights << ": " << imported.source->summary << '\n'
            << ssdq::describe(imported.report) << '\n';
  print_scaling(*imported.source, experiment.config.input);
  std::cout << kib(output);
  return ssdq::kExitOk;
}

int run(int argc, char** argv) {
  const auto options = describe_options();
  const auto [given, overrides] = parse_arguments(argc, argv, options);
  if (given.count("help") != 0) {
    std::cout << kUsage << options << "\nsources:\n";
    for (const auto& source : ssdq::import_sources()) {
      std::cout << fmt::format("  {}: {}\n", source.name, source.summary);
    }
    return ssdq::kExitOk;
  }
  const auto weights = required(given, "weights", "a file");
  SSDQ_CHECK_CONFIG(given.count("prototxt") == 0 || ssdq::is_caffe_file(weights),
                    "--prototxt belongs to a .caffemodel, but --weights is {}", weights);
  if (given.count("config-file") != 0) {
    return import(given, weights, overrides);
  }
  SSDQ_CHECK_CONFIG(overrides.empty(), "{}: a key of the configuration needs --config-file",
                    overrides.empty() ? "" : overrides.front());
  return convert(given, weights);
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("import_weights", [&] { return run(argc, argv); });
}
