#include "ssdq/engine/histograms.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "ssdq/data/image_reader.h"
#include "ssdq/data/loader.h"
#include "ssdq/data/transforms/render.h"
#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/visualization/histogram.h"
#include "ssdq/visualization/image_io.h"

namespace ssdq {
namespace {

constexpr int64_t kMostSamples = 20000;  // of one map of one image

std::vector<float> values_of(const torch::Tensor& tensor) {
  const auto flat = tensor.detach().to(torch::kCPU, torch::kFloat).contiguous().view(-1);
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

std::vector<float> different_values(const torch::Tensor& tensor) {
  std::vector<float> levels = values_of(tensor);
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels;
}

std::string title_of(const std::string& name, const QuantizerReport& report) {
  return fmt::format("{}: {} bits, {}", name, report.bits, report.granularity);
}

// The weight as its quantizer gets it.
std::vector<float> float_weight(ConvBlock& block, QuantizerImpl& quantizer) {
  const QuantizerMode mode = quantizer.mode();
  quantizer.set_mode({false, false});
  auto values = values_of(block->effective_weight());
  quantizer.set_mode(mode);
  return values;
}

cv::Mat weight_picture(const std::string& node, ConvBlock& block, QuantizerImpl& quantizer) {
  const std::vector<float> levels = different_values(block->effective_weight());
  HistogramOptions options;
  options.title = title_of(node, quantizer.report());
  options.x_label = "weight";
  return draw_histogram(float_weight(block, quantizer), PlotRange{levels.front(), levels.back()},
                        levels, options);
}

// A quantizer of activations with the nodes whose outputs it gets.
struct Probe {
  NamedQuantizer quantizer;
  std::vector<NodeId> sources;
  std::vector<float> samples;
};

std::vector<Probe> probes_of(const Detector& detector) {
  std::vector<Probe> probes;
  for (const NamedQuantizer& one : quantizers_of(*detector)) {
    if (one.is_weight || one.quantizer->report().granularity.empty()) continue;
    const std::size_t dot = one.name.rfind('.');
    const Graph& graph = detector->graph();
    const auto& inputs = graph.nodes[graph.find(one.name.substr(0, dot))].inputs;
    const std::size_t number = one.name.find_first_of("0123456789", dot);
    if (number == std::string::npos) {
      probes.push_back({one, inputs, {}});
    } else {
      probes.push_back({one, {inputs[std::stoul(one.name.substr(number))]}, {}});
    }
  }
  return probes;
}

torch::Tensor image_of(const Record& record, const Experiment& experiment) {
  const InputConfig& input = experiment.config.input;
  Batch batch;
  batch.size = 1;
  batch.image_size = input.image_size;
  batch.images.resize(static_cast<size_t>(input.image_size.height) * input.image_size.width * 3);
  render_whole(read_image(record.image_path),
               {rgb_floats(input.pixel_mean), rgb_floats(input.pixel_std)}, input.image_size,
               batch.images.data());
  return images_of(batch, experiment).clone();
}

void take_samples(const torch::Tensor& output, std::vector<float>& samples) {
  const auto flat = output.detach().reshape({-1});
  // An odd step does not always meet the same channel.
  const int64_t step = std::max<int64_t>(1, flat.numel() / kMostSamples) | 1;
  const std::vector<float> values = values_of(flat.slice(0, 0, flat.numel(), step));
  samples.insert(samples.end(), values.begin(), values.end());
}

cv::Mat input_picture(const Probe& probe, const torch::Device& device) {
  QuantizerImpl& quantizer = *probe.quantizer.quantizer;
  float largest = 1;
  for (const float value : probe.samples) largest = std::max(largest, std::fabs(value));
  // Far outside lies whatever the ends of the range stand for.
  std::vector<float> probed = probe.samples;
  probed.push_back(-100 * largest);
  probed.push_back(100 * largest);
  const auto x = torch::tensor(probed).view({1, 1, 1, -1}).to(device);
  const std::vector<float> levels = different_values(quantizer.forward(x));
  HistogramOptions options;
  options.title = title_of(probe.quantizer.name, quantizer.report());
  options.x_label = "input";
  options.logarithmic = true;
  return draw_histogram(probe.samples, PlotRange{levels.front(), levels.back()}, levels, options);
}

// Maps may be quantized by the block that makes them; with the quantizers of activations off, all
// are seen as they are before.
class InputsUnquantized {
 public:
  explicit InputsUnquantized(const torch::nn::Module& module) {
    for (const NamedQuantizer& one : quantizers_of(module)) {
      if (!one.is_weight) {
        modes_.emplace_back(one.quantizer, one.quantizer->mode());
        one.quantizer->set_mode({false, false});
      }
    }
  }
  ~InputsUnquantized() {
    for (const auto& [quantizer, mode] : modes_) {
      quantizer->set_mode(mode);
    }
  }
  InputsUnquantized(const InputsUnquantized&) = delete;
  InputsUnquantized& operator=(const InputsUnquantized&) = delete;

 private:
  std::vector<std::pair<QuantizerPtr, QuantizerMode>> modes_;
};

void take_samples(Detector& detector, const Experiment& experiment, const Dataset& dataset,
                  int images, std::vector<Probe>& probes) {
  const InputsUnquantized unquantized(*detector);
  for (int64_t i = 0; i < std::min<int64_t>(images, dataset.size()); ++i) {
    detector->run(image_of(dataset.record(i), experiment),
                  [&](NodeId id, const torch::Tensor& output) {
                    for (Probe& probe : probes) {
                      for (const NodeId source : probe.sources) {
                        if (source == id) take_samples(output, probe.samples);
                      }
                    }
                  });
  }
}

// "backbone.3.input_quantizer_1" -> "backbone.3.input_1".
std::string picture_name(std::string name) {
  const std::string word = "_quantizer";
  return name.erase(name.rfind(word), word.size());
}

}  // namespace

int write_weight_histograms(Detector& detector, const std::string& folder) {
  const torch::NoGradGuard no_grad;
  const bool was_training = detector->is_training();
  detector->eval();
  std::map<std::string, QuantizerPtr> quantizers;  // of weights, by node
  for (const NamedQuantizer& one : quantizers_of(*detector)) {
    if (one.is_weight && !one.quantizer->report().granularity.empty()) {
      quantizers[one.name.substr(0, one.name.rfind('.'))] = one.quantizer;
    }
  }
  make_directories(folder);
  for (const auto& entry : detector->convolutions()) {
    const auto found = quantizers.find(entry.first);
    if (found == quantizers.end()) continue;
    ConvBlock block = entry.second;
    write_image(folder + "/" + entry.first + ".weight.png",
                weight_picture(entry.first, block, *found->second));
  }
  detector->train(was_training);
  return static_cast<int>(quantizers.size());
}

int write_input_histograms(Detector& detector, const Experiment& experiment, const Dataset& dataset,
                           int images, const std::string& folder) {
  SSDQ_CHECK_CONFIG(images >= 1, "{} images for histograms; expected at least 1", images);
  const torch::NoGradGuard no_grad;
  const bool was_training = detector->is_training();
  detector->eval();
  std::vector<Probe> probes = probes_of(detector);
  take_samples(detector, experiment, dataset, images, probes);
  make_directories(folder);
  for (const Probe& probe : probes) {
    write_image(folder + "/" + picture_name(probe.quantizer.name) + ".png",
                input_picture(probe, experiment.device));
  }
  detector->train(was_training);
  return static_cast<int>(probes.size());
}

}  // namespace ssdq
