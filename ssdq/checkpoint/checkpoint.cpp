#include "ssdq/checkpoint/checkpoint.h"

#include <charconv>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>

#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr std::string_view kFormat = "ssdq";
constexpr int64_t kVersion = 1;
constexpr std::string_view kModel = "model.";
constexpr std::string_view kOptimizer = "optimizer.";
constexpr std::string_view kEma = "ema.";
constexpr std::string_view kHook = "hook.";
constexpr std::string_view kExtra = "extra.";
constexpr std::string_view kRng = "rng";

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

void append(State& all, const std::string& prefix, const State& part) {
  for (const auto& [name, tensor] : part) {
    all.emplace_back(prefix + name, tensor);
  }
}

int64_t read_integer(const std::string& path, const TensorFile& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  const std::string text = found == file.metadata.end() ? "" : found->second;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  SSDQ_CHECK(error == std::errc() && end == text.data() + text.size() && value >= 0,
             "{}: damaged checkpoint: its {} should be a whole number, got '{}'", path, key,
             text.substr(0, 40));
  return value;
}

void place(const std::string& path, Checkpoint& checkpoint, const std::string& name,
           const torch::Tensor& tensor) {
  if (starts_with(name, kModel)) {
    checkpoint.model.emplace_back(name.substr(kModel.size()), tensor);
  } else if (starts_with(name, kOptimizer)) {
    checkpoint.optimizer.emplace_back(name.substr(kOptimizer.size()), tensor);
  } else if (starts_with(name, kEma)) {
    checkpoint.ema.emplace_back(name.substr(kEma.size()), tensor);
  } else if (name == kRng) {
    checkpoint.rng = tensor;
  } else {
    const size_t dot = name.find('.', kHook.size());
    SSDQ_CHECK(starts_with(name, kHook) && dot != std::string::npos,
               "{}: damaged checkpoint: tensor '{}' belongs to no part of it", path,
               name.substr(0, 80));
    const std::string hook = name.substr(kHook.size(), dot - kHook.size());
    checkpoint.hooks[hook].emplace_back(name.substr(dot + 1), tensor);
  }
}

Checkpoint from_foreign_file(TensorFile file) {
  Checkpoint checkpoint;
  checkpoint.model = std::move(file.tensors);
  checkpoint.extra = std::move(file.metadata);
  checkpoint.weights_only = true;
  return checkpoint;
}

Checkpoint from_file(const std::string& path, TensorFile file) {
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != kFormat) {
    return from_foreign_file(std::move(file));
  }
  Checkpoint checkpoint;
  const int64_t version = read_integer(path, file, "format_version");
  SSDQ_CHECK(
      version == kVersion,
      "{}: the checkpoint has format version {}, this SSDQ reads {}; use the SSDQ that wrote "
      "it, or a newer one",
      path, version, kVersion);
  checkpoint.iteration = read_integer(path, file, "iteration");
  checkpoint.config_yaml = file.metadata["config"];
  checkpoint.graph_cfg = file.metadata["graph"];
  for (const auto& [key, value] : file.metadata) {
    if (starts_with(key, kExtra)) {
      checkpoint.extra[key.substr(kExtra.size())] = value;
    }
  }
  for (const auto& [name, tensor] : file.tensors) {
    place(path, checkpoint, name, tensor);
  }
  return checkpoint;
}

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  TensorFile file;
  append(file.tensors, std::string(kModel), checkpoint.model);
  append(file.tensors, std::string(kOptimizer), checkpoint.optimizer);
  append(file.tensors, std::string(kEma), checkpoint.ema);
  for (const auto& [hook, state] : checkpoint.hooks) {
    SSDQ_CHECK(hook.find('.') == std::string::npos, "{}: the hook name '{}' must not hold a dot",
               path, hook);
    append(file.tensors, std::string(kHook) + hook + ".", state);
  }
  if (checkpoint.rng.defined()) {
    file.tensors.emplace_back(kRng, checkpoint.rng);
  }
  for (const auto& [key, value] : checkpoint.extra) {
    file.metadata[std::string(kExtra) + key] = value;
  }
  file.metadata["format"] = kFormat;
  file.metadata["format_version"] = std::to_string(kVersion);
  file.metadata["iteration"] = std::to_string(checkpoint.iteration);
  file.metadata["config"] = checkpoint.config_yaml;
  file.metadata["graph"] = checkpoint.graph_cfg;
  write_safetensors(path, file);
}

Checkpoint load_checkpoint(const std::string& path) {
  return from_file(path, read_tensor_file(path));
}

Checkpoint inspect_checkpoint(const std::string& path) {
  return from_file(path, read_tensor_file_header(path));
}

torch::Tensor rng_state() {
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

void set_rng_state(const torch::Tensor& state) {
  SSDQ_CHECK(state.defined() && state.scalar_type() == torch::kUInt8 && state.dim() == 1,
             "the checkpoint's random state should be a list of bytes");
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  try {
    generator.set_state(state);
  } catch (const c10::Error&) {
    fail("the checkpoint's random state ({} bytes) is not one of this LibTorch", state.numel());
  }
}

State inference_weights(const Checkpoint& checkpoint) {
  const std::map<std::string, torch::Tensor> averages(checkpoint.ema.begin(), checkpoint.ema.end());
  State weights = checkpoint.model;
  for (auto& [name, tensor] : weights) {
    if (const auto average = averages.find(name); average != averages.end()) {
      tensor = average->second;
    }
  }
  return weights;
}

std::vector<std::string> class_names(const Checkpoint& checkpoint) {
  const auto names = checkpoint.extra.find("class_names");
  return names != checkpoint.extra.end() ? split(names->second, '\n') : std::vector<std::string>();
}

Checkpoint strip_for_inference(const Checkpoint& checkpoint) {
  Checkpoint stripped;
  stripped.model = inference_weights(checkpoint);
  stripped.iteration = checkpoint.iteration;
  stripped.config_yaml = checkpoint.config_yaml;
  stripped.graph_cfg = checkpoint.graph_cfg;
  stripped.extra = checkpoint.extra;
  return stripped;
}

}  // namespace ssdq
