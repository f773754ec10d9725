#include "ssdq/engine/hooks/sparsity.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ssdq/engine/trainer.h"
#include "ssdq/utils/files.h"
#include "ssdq/visualization/histogram.h"
#include "ssdq/visualization/image_io.h"
#include "ssdq/visualization/picture_grid.h"

namespace ssdq {
namespace {

constexpr int kDrawnPercent = 50;

std::vector<float> magnitudes_of(const PenalisedScales& scales) {
  const auto all = concatenated(scales).abs().to(torch::kCPU, torch::kFloat).contiguous();
  return {all.data_ptr<float>(), all.data_ptr<float>() + all.numel()};
}

double drawn_threshold(const SparsityStatus& status) {
  const auto cut = std::find_if(status.cuts.begin(), status.cuts.end(),
                                [](const auto& one) { return one.percent == kDrawnPercent; });
  return cut->threshold;
}

// A panel for each group, all with the same axis of magnitudes.
cv::Mat draw_groups(const std::vector<float>& magnitudes, const ScaleLayout& layout,
                    double threshold) {
  const double largest = *std::max_element(magnitudes.begin(), magnitudes.end());
  HistogramOptions options;
  options.size = {360, 260};
  options.bins = 50;
  options.logarithmic = true;
  options.legend = false;
  options.x_label = fmt::format("|gamma|, cut at {:.3g} for {} %", threshold, kDrawnPercent);
  options.range = PlotRange{0, largest > 0 ? largest : 1.0};
  options.line = threshold;
  std::vector<cv::Mat> panels;
  for (const auto& group : layout.groups) {
    std::vector<float> values;
    for (const int64_t place : group.places) values.push_back(magnitudes[place]);
    const auto below =
        std::count_if(values.begin(), values.end(), [&](float value) { return value < threshold; });
    options.title = fmt::format("{}: {}/{} below", group.name, below, values.size());
    panels.push_back(draw_histogram(values, std::nullopt, {}, options));
  }
  return picture_grid(panels);
}

}  // namespace

Sparsity::Sparsity(PenalisedScales scales, ScaleLayout layout, SparsityOptions options)
    : scales_(std::move(scales)), layout_(std::move(layout)), options_(std::move(options)) {}

void Sparsity::after_backward(Trainer& trainer) {
  const double rate = sparsity_rate(trainer.iteration(), options_.rate);
  if (rate > 0) {
    add_penalty(scales_, options_.penalty, rate);
  }
}

void Sparsity::after_step(Trainer& trainer) {
  const int64_t done = trainer.iteration() + 1;
  const bool is_last = done == trainer.max_iter();
  if (done % options_.report_period == 0 || is_last) {
    report(trainer);
  }
  const bool due = options_.picture_period > 0 && done % options_.picture_period == 0;
  if (!options_.folder.empty() && (due || is_last)) {
    draw(trainer);
  }
}

void Sparsity::report(Trainer& trainer) const {
  const SparsityStatus status = sparsity_status(scales_, layout_);
  const auto put = [&](const std::string& name, double value) {
    trainer.events().put("sparsity/" + name, value, /*smooth=*/false);
  };
  put("rate", sparsity_rate(trainer.iteration(), options_.rate));
  put("near_zero", status.near_zero);
  for (const auto& cut : status.cuts) {
    put(fmt::format("threshold_{}", cut.percent), cut.threshold);
    put(fmt::format("below_{}", cut.percent), static_cast<double>(cut.below));
  }
}

void Sparsity::draw(Trainer& trainer) const {
  const std::vector<float> magnitudes = magnitudes_of(scales_);
  if (!std::all_of(magnitudes.begin(), magnitudes.end(),
                   [](float v) { return std::isfinite(v); })) {
    return;
  }
  const double threshold = drawn_threshold(sparsity_status(scales_, layout_));
  const cv::Mat picture = draw_groups(magnitudes, layout_, threshold);
  const std::string png = encode_png(picture);
  make_directories(options_.folder);
  write_file_atomically(
      fmt::format("{}/scales_{:07}.png", options_.folder, trainer.iteration() + 1), png);
  trainer.events().put_image("sparsity/scales", png, picture.cols, picture.rows,
                             fmt::format("|gamma| by channel group; line: what is below it goes "
                                         "when {} % of the channels go",
                                         kDrawnPercent));
}

}  // namespace ssdq
