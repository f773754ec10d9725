// Post-processing of 8732 priors x 21 classes, one image at a time: ours, and the usual PyTorch way
// (softmax, threshold, one suppression over all classes with boxes moved apart by class).
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/detection/post_processor.h"

namespace ssdq {
namespace {

constexpr int kClasses = 21;
constexpr int kAllThreads = 0;
constexpr Size2 kImage{375, 500};

enum class Scores { kTrained, kUntrained };

struct Outputs {
  std::vector<CenterBox> priors;
  std::vector<float> logits, locations;
};

// Trained: the background leads nearly everywhere, about 7,000 scores pass 0.01 (few of them high,
// as near objects). Untrained: small random logits, so that every score is near 1 / 21 and passes.
Outputs make_outputs(Scores scores) {
  Outputs outputs;
  outputs.priors = make_priors(PriorsConfig{},
                               {{38, 38}, {19, 19}, {10, 10}, {5, 5}, {3, 3}, {1, 1}}, {300, 300});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform;
  const bool trained = scores == Scores::kTrained;
  for (size_t p = 0; p < outputs.priors.size(); ++p) {
    const bool near_object = trained && uniform(random) < 0.02F;
    const auto object_class = static_cast<int>(1 + random() % (kClasses - 1));
    for (int c = 0; c < kClasses; ++c) {
      float logit = normal(random) * (trained ? 1.0F : 0.2F);
      logit += trained && c == 0 ? 6.95F : 0;
      logit += near_object && c == object_class ? 7 : 0;
      outputs.logits.push_back(logit);
    }
    for (int k = 0; k < 4; ++k) {
      outputs.locations.push_back(normal(random) * (trained ? 1.0F : 0.2F));
    }
  }
  return outputs;
}

const Outputs& outputs_of(Scores scores) {
  static const Outputs trained = make_outputs(Scores::kTrained);
  static const Outputs untrained = make_outputs(Scores::kUntrained);
  return scores == Scores::kTrained ? trained : untrained;
}

void ours(benchmark::State& state, Scores scores, int candidates_per_class, int num_threads) {
  const Outputs& outputs = outputs_of(scores);
  PostProcessOptions options;
  options.candidates_per_class = candidates_per_class;
  const PostProcessor processor(outputs.priors, kClasses, options);
  size_t found = 0;
  for (auto _ : state) {
    found = processor.run(outputs.logits.data(), outputs.locations.data(), {kImage}, num_threads)[0]
                .size();
  }
  state.counters["detections"] = static_cast<double>(found);
}

void ours_batch(benchmark::State& state, Scores scores, int num_threads) {
  constexpr size_t kImages = 16;
  const Outputs& outputs = outputs_of(scores);
  const PostProcessor processor(outputs.priors, kClasses, {});
  std::vector<float> logits;
  std::vector<float> locations;
  for (size_t n = 0; n < kImages; ++n) {
    logits.insert(logits.end(), outputs.logits.begin(), outputs.logits.end());
    locations.insert(locations.end(), outputs.locations.begin(), outputs.locations.end());
  }
  const std::vector<Size2> sizes(kImages, kImage);
  for (auto _ : state) {
    benchmark::DoNotOptimize(processor.run(logits.data(), locations.data(), sizes, num_threads));
  }
  state.SetItemsProcessed(static_cast<int64_t>(kImages) * state.iterations());
}

// Greedy suppression of all boxes against all, as torchvision.ops.nms does on a CPU.
std::vector<int64_t> suppress(const torch::Tensor& boxes, const torch::Tensor& scores,
                              double threshold) {
  const torch::Tensor order = std::get<1>(scores.sort(/*stable=*/true, 0, /*descending=*/true));
  const torch::Tensor sorted = boxes.index_select(0, order).t().contiguous();
  const float* x1 = sorted[0].data_ptr<float>();
  const float* y1 = sorted[1].data_ptr<float>();
  const float* x2 = sorted[2].data_ptr<float>();
  const float* y2 = sorted[3].data_ptr<float>();
  const torch::Tensor areas = (sorted[2] - sorted[0]) * (sorted[3] - sorted[1]);
  const float* area = areas.data_ptr<float>();
  const auto rank = order.accessor<int64_t, 1>();
  std::vector<char> dropped(static_cast<size_t>(boxes.size(0)));
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < boxes.size(0); ++i) {
    if (dropped[i] != 0) {
      continue;
    }
    kept.push_back(rank[i]);
    for (int64_t j = i + 1; j < boxes.size(0); ++j) {
      if (dropped[j] != 0) {
        continue;
      }
      const float width = std::max(0.0F, std::min(x2[i], x2[j]) - std::max(x1[i], x1[j]));
      const float height = std::max(0.0F, std::min(y2[i], y2[j]) - std::max(y1[i], y1[j]));
      const float common = width * height;
      dropped[j] = common / (area[i] + area[j] - common) > threshold ? 1 : 0;
    }
  }
  return kept;
}

// The best 100 as ours gives them, without the boxes: label and score tell them apart.
Detections best_of(const std::vector<int64_t>& kept, const torch::Tensor& labels,
                   const torch::Tensor& scores) {
  Detections best;
  for (size_t i = 0; i < kept.size() && i < 100; ++i) {
    best.push_back({{}, scores[kept[i]].item<float>(), labels[kept[i]].item<int>()});
  }
  return best;
}

bool agree(const Detections& a, const Detections& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Detection& x, const Detection& y) {
                      return x.label == y.label && std::abs(x.score - y.score) < 1e-5F;
                    });
}

torch::Tensor decode_all(const torch::Tensor& locations, const torch::Tensor& priors) {
  const torch::Tensor center =
      locations.slice(1, 0, 2) * 0.1 * priors.slice(1, 2, 4) + priors.slice(1, 0, 2);
  const torch::Tensor size = torch::exp(locations.slice(1, 2, 4) * 0.2) * priors.slice(1, 2, 4);
  const torch::Tensor scale = torch::tensor({kImage.width, kImage.height}, torch::kFloat32);
  return torch::cat({(center - size / 2) * scale, (center + size / 2) * scale}, 1);
}

void usual(benchmark::State& state, Scores scores_kind, int num_threads) {
  const torch::NoGradGuard no_grad;
  torch::set_num_threads(num_threads);
  Outputs outputs = outputs_of(scores_kind);
  const auto num_priors = static_cast<int64_t>(outputs.priors.size());
  const torch::Tensor logits = torch::from_blob(outputs.logits.data(), {num_priors, kClasses});
  const torch::Tensor locations = torch::from_blob(outputs.locations.data(), {num_priors, 4});
  const torch::Tensor priors = torch::from_blob(outputs.priors.data(), {num_priors, 4});
  Detections found;
  int64_t candidates = 0;
  for (auto _ : state) {
    const torch::Tensor scores = torch::softmax(logits, 1).slice(1, 1);
    const torch::Tensor places = (scores > 0.01).nonzero();
    const torch::Tensor boxes = decode_all(locations, priors).index_select(0, places.select(1, 0));
    const torch::Tensor labels = places.select(1, 1) + 1;
    const torch::Tensor passing = scores.masked_select(scores > 0.01);
    const torch::Tensor offsets = labels.to(torch::kFloat32) * (boxes.max() + 1);
    const auto kept = suppress((boxes + offsets.unsqueeze(1)).contiguous(), passing, 0.45);
    found = best_of(kept, labels, passing);
    candidates = places.size(0);
  }
  PostProcessOptions options;
  options.candidates_per_class = -1;
  const PostProcessor processor(outputs.priors, kClasses, options);
  if (!agree(found,
             processor.run(outputs.logits.data(), outputs.locations.data(), {kImage}, 1)[0])) {
    state.SkipWithError("its detections differ from ours");
  }
  state.counters["detections"] = static_cast<double>(found.size());
  state.counters["candidates"] = static_cast<double>(candidates);
}

// The console's table, and the times for the ratios printed after it.
class Reporter : public benchmark::ConsoleReporter {
 public:
  Reporter() : ConsoleReporter(OO_Tabular) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      ms_[run.run_name.function_name] = run.GetAdjustedRealTime();
    }
    ConsoleReporter::ReportRuns(runs);
  }

  void print_ratios() const {
    for (const std::string scores : {"trained", "untrained"}) {
      const auto slow = ms_.find(fmt::format("usual/{}/1_thread", scores));
      for (const auto& [name, ms] : ms_) {
        if (slow != ms_.end() && name.rfind(fmt::format("ours/{}/", scores), 0) == 0) {
          fmt::print("{}: {:.3f} ms per image, the usual way {:.1f} ms, {:.0f} times as fast\n",
                     name, ms, slow->second, slow->second / ms);
        }
      }
    }
  }

 private:
  std::map<std::string, double> ms_;
};

template <typename Function, typename... Args>
benchmark::internal::Benchmark* add(const std::string& name, Function function, Args... args) {
  return benchmark::RegisterBenchmark(name.c_str(), function, args...)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

void add_all() {
  for (const Scores scores : {Scores::kTrained, Scores::kUntrained}) {
    const std::string kind = scores == Scores::kTrained ? "trained" : "untrained";
    for (const int threads : {1, kAllThreads}) {
      const std::string suffix = threads == 1 ? "1_thread" : "all_threads";
      add(fmt::format("ours/{}/{}", kind, suffix), ours, scores, 400, threads);
      add(fmt::format("ours/{}/all_candidates/{}", kind, suffix), ours, scores, -1, threads);
      add(fmt::format("batch_of_16/{}/{}", kind, suffix), ours_batch, scores, threads);
    }
    auto* slow = add(fmt::format("usual/{}/1_thread", kind), usual, scores, 1);
    if (scores == Scores::kUntrained) {
      slow->Iterations(1);
    }
  }
}

}  // namespace
}  // namespace ssdq

int main(int argc, char** argv) {
  ssdq::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 2;
  }
  ssdq::Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  reporter.print_ratios();
  benchmark::Shutdown();
  return 0;
}
