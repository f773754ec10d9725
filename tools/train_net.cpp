#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <torch/cuda.h>
#include <boost/program_options.hpp>

#include "arguments.h"
#include "launch_arguments.h"
#include "ssdq/config/reader.h"
#include "ssdq/config/writer.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/training.h"
#include "ssdq/utils/error.h"

namespace po = boost::program_options;

namespace {

constexpr const char* kUsage =
    "usage: train_net --config-file FILE [options] [KEY VALUE ...]\n\n"
    "Trains, quantizes and evaluates a detector. KEY VALUE pairs override the file:\n"
    "  train_net --config-file configs/vgg_bn_ssd300_quan_w8a8.yaml SOLVER.BATCH_SIZE 8\n"
    "  train_net --config-file configs/vgg_mini_ssd300_bccd.yaml --eval-only \\\n"
    "            MODEL.WEIGHTS datasets/bccd/vgg_mini_ssd300_bccd.safetensors\n\n";

po::options_description describe() {
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", "this text");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("resume", "go on from the newest checkpoint in OUTPUT_DIR");
  add("eval-only", "evaluate on DATASETS.TEST and leave");
  add("print-config", "print the resolved configuration and leave");
  add("print-quantization", "print how each layer is quantized, and why not, and leave");
  add("dry-run", "build everything, run one step, write nothing");
  add_launch_options(options);
  return options;
}

// When the folder's newest checkpoint was written, if there is one.
std::optional<std::filesystem::file_time_type> time_of_checkpoint(const std::string& folder) {
  std::error_code none;
  const auto time =
      std::filesystem::last_write_time(std::filesystem::path(folder) / "last_checkpoint.txt", none);
  return none ? std::nullopt : std::optional(time);
}

void check_gpus(int asked) {
  const auto found =
      torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  SSDQ_CHECK_CONFIG(asked <= found,
                    "--num-gpus {} was given, but LibTorch sees {} GPU{} here; --num-procs {} "
                    "starts processes on the CPU",
                    asked, found, found == 1 ? "" : "s", asked);
}

int run(int argc, char** argv) {
  const auto options = describe();
  const auto [given, overrides] = parse_arguments(argc, argv, options);
  if (given.count("help") != 0) {
    std::cout << kUsage << options;
    return ssdq::kExitOk;
  }
  const auto loaded = ssdq::load_config(required_config(given), overrides);
  if (given.count("print-config") != 0) {
    std::cout << ssdq::to_yaml(loaded.config);
    return ssdq::kExitOk;
  }
  if (const auto launch = read_launch_options(given)) {
    auto arguments = without_launch_options(argc, argv);
    const auto& device = loaded.config.model.device;
    if (given.count("num-gpus") != 0) {
      SSDQ_CHECK_CONFIG(device != "cpu",
                        "--num-gpus was given, but MODEL.DEVICE is cpu; --num-procs {} starts "
                        "processes on the CPU",
                        launch->processes);
      check_gpus(launch->processes);
    } else if (device == "auto") {
      arguments.insert(arguments.end(), {"MODEL.DEVICE", "cpu"});
    }
    const auto& folder = loaded.config.output_dir;
    // A checkpoint of an earlier run is nothing to go on from.
    const auto resume = [&, before = time_of_checkpoint(folder)]() -> std::vector<std::string> {
      const auto now = time_of_checkpoint(folder);
      const bool own = now && now != before && given.count("resume") == 0;
      return own ? std::vector<std::string>{"--resume"} : std::vector<std::string>{};
    };
    return ssdq::launch(*launch, arguments, resume);
  }
  ssdq::TrainOptions train;
  train.resume = given.count("resume") != 0;
  train.eval_only = given.count("eval-only") != 0;
  train.print_quantization = given.count("print-quantization") != 0;
  train.dry_run = given.count("dry-run") != 0;
  auto registries = ssdq::builtin_registries();
  return ssdq::run_training(loaded, train, registries);
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("train_net", [&] { return run(argc, argv); });
}
