#include "ssdq/engine/weight_histograms.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "ssdq/engine/quantizers.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/visualization/histogram.h"
#include "ssdq/visualization/image_io.h"

namespace ssdq {
namespace {

std::vector<float> values_of(const torch::Tensor& tensor) {
  const auto flat = tensor.detach().to(torch::kCPU, torch::kFloat).contiguous().view(-1);
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

// The weight as its quantizer gets it.
std::vector<float> float_weight(ConvBlock& block, QuantizerImpl& quantizer) {
  const QuantizerMode mode = quantizer.mode();
  quantizer.set_mode({false, false});
  auto values = values_of(block->effective_weight());
  quantizer.set_mode(mode);
  return values;
}

cv::Mat picture(const std::string& node, ConvBlock& block, QuantizerImpl& quantizer) {
  const QuantizerReport report = quantizer.report();
  std::vector<float> levels = values_of(block->effective_weight());
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  HistogramOptions options;
  options.title = fmt::format("{}: {} bits, {}", node, report.bits, report.granularity);
  options.x_label = "weight";
  return draw_histogram(float_weight(block, quantizer), PlotRange{levels.front(), levels.back()},
                        levels, options);
}

}  // namespace

int write_weight_histograms(Detector& detector, const std::string& folder) {
  torch::NoGradGuard no_grad;
  const bool was_training = detector->is_training();
  detector->eval();
  std::map<std::string, QuantizerPtr> quantizers;  // of weights, by node
  for (const NamedQuantizer& one : quantizers_of(*detector)) {
    if (one.is_weight) quantizers[one.name.substr(0, one.name.rfind('.'))] = one.quantizer;
  }
  SSDQ_CHECK(!quantizers.empty(),
             "no weight is quantized: QUANTIZATION.TYPE is none, or nothing matches its rules");
  make_directories(folder);
  int count = 0;
  for (const auto& entry : detector->convolutions()) {
    const auto found = quantizers.find(entry.first);
    if (found == quantizers.end() || found->second->report().granularity.empty()) continue;
    ConvBlock block = entry.second;
    write_image(folder + "/" + entry.first + ".png", picture(entry.first, block, *found->second));
    ++count;
  }
  detector->train(was_training);
  return count;
}

}  // namespace ssdq
