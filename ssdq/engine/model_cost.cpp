#include "ssdq/engine/model_cost.h"

#include <algorithm>

#include <ATen/Context.h>
#include <torch/cuda.h>
#include <torch/utils.h>

#include "ssdq/engine/quantizers.h"
#include "ssdq/structures/code_width.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/timer.h"

namespace ssdq {
namespace {

torch::Tensor random_image(const Experiment& experiment) {
  const InputConfig& input = experiment.config.input;
  auto image = torch::randn({1, input.channels, input.image_size.height, input.image_size.width});
  if (use_channels_last(experiment)) {
    image = image.contiguous(torch::MemoryFormat::ChannelsLast);
  }
  return image.to(experiment.device);
}

// Lets the quantizers, and nothing else, learn from the image.
void set_ranges(Detector& detector, const torch::Tensor& image) {
  const auto quantizers = quantizers_of(*detector);
  if (quantizers.empty()) return;
  for (const NamedQuantizer& one : quantizers) one.quantizer->train();
  detector->forward(image);
  for (const NamedQuantizer& one : quantizers) one.quantizer->eval();
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

WidthPlan code_widths(const Detector& detector) {
  WidthPlan plan;
  for (const NamedQuantizer& one : quantizers_of(*detector)) {
    const QuantizerReport report = one.quantizer->report();
    const std::string node = one.name.substr(0, one.name.rfind('.'));
    const int bits = report.granularity.empty() ? kFloatBits : report.bits;
    CodeWidths& widths = plan[node];
    (one.is_weight ? widths.weights : widths.inputs) = bits;
  }
  return plan;
}

std::vector<double> measure_nodes(Detector& detector, const Experiment& experiment, int runs) {
  SSDQ_CHECK_CONFIG(runs >= 1, "{} runs to measure; expected at least 1", runs);
  torch::NoGradGuard no_grad;
  const auto image = random_image(experiment);
  const bool was_training = detector->is_training();
  detector->eval();
  set_ranges(detector, image);
  detector->forward(image);
  const std::size_t count = detector->graph().nodes.size();
  std::vector<std::vector<double>> times(count);
  for (int run = 0; run < runs; ++run) {
    Timer timer;
    detector->run(image, [&](NodeId id, const torch::Tensor&) {
      if (experiment.device.is_cuda()) torch::cuda::synchronize();
      times[id].push_back(timer.seconds() * 1e3);
      timer.reset();
    });
  }
  detector->train(was_training);
  std::vector<double> medians;
  for (auto& of_node : times) {
    medians.push_back(median(of_node));
  }
  return medians;
}

std::vector<double> measure_networks(
    const std::vector<std::pair<Detector, const Experiment*>>& networks, int runs) {
  SSDQ_CHECK_CONFIG(runs >= 1, "{} runs to measure; expected at least 1", runs);
  constexpr int kWarmUp = 3;
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> images;
  for (auto [detector, experiment] : networks) {
    images.push_back(random_image(*experiment));
    detector->eval();
    set_ranges(detector, images.back());
  }
  std::vector<std::vector<double>> times(networks.size());
  for (int run = 0; run < kWarmUp + runs; ++run) {
    for (size_t i = 0; i < networks.size(); ++i) {
      auto [detector, experiment] = networks[i];
      const Timer timer;
      detector->forward(images[i]);
      if (experiment->device.is_cuda()) torch::cuda::synchronize();
      if (run >= kWarmUp) times[i].push_back(timer.seconds() * 1e3);
    }
  }
  std::vector<double> medians;
  for (auto& of_network : times) {
    medians.push_back(median(of_network));
  }
  return medians;
}

ModelCost model_cost(const Experiment& experiment, int runs) {
  SSDQ_CHECK_CONFIG(runs >= 0, "{} runs to measure; expected 0 or more", runs);
  Detector detector = build_detector(experiment);
  ModelCost model;
  model.name = experiment.config_file;
  model.cost = cost(experiment.graph, code_widths(detector));
  if (runs > 0) {
    model.node_ms = measure_nodes(detector, experiment, runs);
  }
  return model;
}

}  // namespace ssdq
