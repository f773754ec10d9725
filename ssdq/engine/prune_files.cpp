#include "ssdq/engine/prune_files.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/config/reader.h"
#include "ssdq/config/writer.h"
#include "ssdq/engine/output_difference.h"
#include "ssdq/engine/pruner.h"
#include "ssdq/engine/weights.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/run_program.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

// A hidden folder that is gone when it goes out of scope.
class Staging {
 public:
  explicit Staging(const std::string& parent)
      : folder_((fs::path(parent) / fmt::format(".prune_net.{}", getpid())).string()) {
    make_directories(folder_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::string path(const std::string& file) const {
    return (fs::path(folder_) / fs::path(file).filename()).string();
  }

 private:
  std::string folder_;
};

DetectorOutput outputs(const Experiment& experiment, const State& values,
                       const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  return detector_with(experiment, values)->forward(images);
}

torch::Tensor tensor_of(const TensorFile& file, const std::string& path, const std::string& name) {
  for (const auto& [found, tensor] : file.tensors) {
    if (found == name) return tensor;
  }
  fail("{}: has no tensor {}; expected what prune_net writes for --verify", path, name);
}

}  // namespace

void write_network(const std::string& weights, const std::string& yaml,
                   const PrunedNetwork& network) {
  Checkpoint checkpoint;
  checkpoint.model = network.values;
  checkpoint.config_yaml = to_yaml(network.experiment.config);
  checkpoint.graph_cfg = network.experiment.graph_cfg;
  if (!network.class_names.empty()) {
    checkpoint.extra["class_names"] = network.class_names;
  }
  save_checkpoint(weights, checkpoint);
  write_file_atomically(yaml, checkpoint.config_yaml);
}

std::string class_names_in(const std::string& weights) {
  return join(class_names(inspect_checkpoint(weights)), "\n");
}

std::string default_prune_folder(const Config& config) {
  return (fs::path(config.output_dir) / "pruned").string();
}

void refuse_existing(const std::vector<std::string>& files) {
  for (const auto& file : files) {
    SSDQ_CHECK_CONFIG(!fs::exists(file), "{}: exists already; add --force to replace it", file);
  }
}

void check_writable_folder(const std::string& folder) {
  fs::path there = fs::absolute(folder).lexically_normal();
  while (!fs::exists(there) && there.has_relative_path()) {
    there = there.parent_path();
  }
  SSDQ_CHECK_CONFIG(fs::is_directory(there), "{}: is a file; expected a folder to write into",
                    there.string());
  SSDQ_CHECK_CONFIG(access(there.c_str(), W_OK) == 0, "{}: no permission to write there",
                    there.string());
}

PruneFiles prune_files(const std::string& folder, const std::string& config_file) {
  const std::string stem = fs::path(config_file).stem().string() + "_pruned";
  const auto in_folder = [&](const std::string& name) {
    return (fs::path(folder) / name).string();
  };
  return {folder,
          in_folder(stem + ".cfg"),
          in_folder(stem + ".safetensors"),
          in_folder(stem + ".yaml"),
          in_folder("report.json"),
          in_folder("report.md"),
          in_folder("kept_channels.png")};
}

void verify_pruned(const std::string& yaml, const std::string& weights, const std::string& expected,
                   Registries& registries) {
  const TensorFile file = read_safetensors(expected);
  const auto loaded = load_config(yaml, {"MODEL.DEVICE", "cpu"});
  const Experiment experiment = experiment_to_prune(loaded, registries);
  Detector detector = build_detector(experiment);
  load_weights(detector, weights);
  detector->eval();
  const torch::NoGradGuard no_grad;
  const double off = output_difference(
      {tensor_of(file, expected, "class_logits"), tensor_of(file, expected, "box_regression")},
      detector->forward(tensor_of(file, expected, "images")));
  SSDQ_CHECK(off < kLargestDifference,
             "{}: read again, its raw outputs differ by {} of the largest, expected less than {}",
             weights, off, kLargestDifference);
}

void write_verified(const PruneFiles& files, const PrunedNetwork& network,
                    const torch::Tensor& images, const std::vector<std::string>& verifier,
                    Registries& registries) {
  const Staging staging(files.folder);
  const std::string cfg = staging.path(files.cfg), weights = staging.path(files.weights),
                    yaml = staging.path(files.yaml);
  write_file_atomically(cfg, network.experiment.graph_cfg);
  write_network(weights, yaml, network);
  const DetectorOutput output = outputs(on_cpu(network.experiment), network.values, images);
  const std::string expected = staging.path("expected.safetensors");
  write_safetensors(expected, {{{"images", images},
                                {"class_logits", output.class_logits},
                                {"box_regression", output.box_regression}},
                               {}});
  if (verifier.empty()) {
    verify_pruned(yaml, weights, expected, registries);
  } else {
    std::vector<std::string> command = verifier;
    command.insert(command.end(), {yaml, weights, expected});
    const int status = run_program(command);
    SSDQ_CHECK(status == 0,
               "{}: the files, read again by another process, failed with status {}; nothing was "
               "written",
               files.folder, status);
  }
  fs::rename(cfg, files.cfg);
  fs::rename(weights, files.weights);
  fs::rename(yaml, files.yaml);
}

}  // namespace ssdq
