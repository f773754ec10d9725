#include "rank_steps.h"

#include <memory>
#include <optional>
#include <utility>

#include <torch/torch.h>

#include "ssdq/config/reader.h"
#include "ssdq/distributed/gradient_reducer.h"
#include "ssdq/distributed/group_statistics.h"
#include "ssdq/distributed/process_group.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/layers/multibox_loss.h"
#include "ssdq/solver/optimizer.h"
#include "ssdq/utils/timer.h"

namespace {

// Counts what goes through another one.
class CountingReducer : public ssdq::StatisticsReducer {
 public:
  explicit CountingReducer(ssdq::StatisticsReducerPtr inner) : inner_(std::move(inner)) {}

  int ranks() const override { return inner_->ranks(); }
  void sum(torch::Tensor tensor) override {
    count(tensor, [&] { inner_->sum(tensor); });
  }
  void max(torch::Tensor tensor) override {
    count(tensor, [&] { inner_->max(tensor); });
  }

  void add_to(Figures& figures) {
    figures.calls = calls_;
    figures.statistics_bytes = bytes_;
    figures.statistics = seconds_;
    calls_ = bytes_ = seconds_ = 0;
  }

 private:
  template <typename Call>
  void count(const torch::Tensor& tensor, const Call& call) {
    const ssdq::Timer timer;
    call();
    seconds_ += timer.seconds();
    calls_ += 1;
    bytes_ += static_cast<double>(tensor.nbytes());
  }

  ssdq::StatisticsReducerPtr inner_;
  double calls_ = 0, bytes_ = 0, seconds_ = 0;
};

// What the ranks do in one step, as the engine's trainer does it.
class Training {
 public:
  Training(const RankSettings& settings, const ssdq::World& world)
      : registries_(ssdq::builtin_registries()), settings_(settings) {
    const auto loaded = ssdq::load_config(settings.config, {"MODEL.DEVICE", "cpu"});
    torch::manual_seed(1);  // the same weights on all ranks
    const auto experiment = ssdq::build_experiment(loaded.config, loaded.file, registries_, world);
    detector_ = ssdq::build_detector(experiment);
    optimizer_ = ssdq::make_optimizer(*detector_, loaded.config.solver);
    ssdq::set_learning_rate(*optimizer_, 1e-4);
    if (world.size > 1) {
      groups_ = ssdq::connect_groups(world, loaded.config.distributed, torch::kCPU, 2);
    }
    if (world.size > 1 && settings.together) {
      statistics_ = std::make_shared<CountingReducer>(ssdq::statistics_over(groups_[1]));
      make_reducer();
    }
    make_batch(loaded.config.input.image_size, settings.batch,
               static_cast<int64_t>(experiment.priors.size()), world.rank);
    if (ssdq::use_channels_last(experiment)) {
      images_ = images_.contiguous(torch::MemoryFormat::ChannelsLast);
    }
  }

  void barrier() {
    if (!groups_.empty()) {
      groups_[0]->barrier();
    }
  }

  Figures step() {
    Figures figures;
    const ssdq::Timer timer;
    const torch::Tensor total = loss();
    optimizer_->zero_grad();
    total.backward();
    if (reducer_) {
      reducer_->finish();
      const auto& found = reducer_->statistics();
      figures.buckets = static_cast<double>(reducer_->num_buckets());
      figures.bytes = static_cast<double>(found.bytes);
      figures.communicating = found.communicating;
      figures.waiting = found.waiting;
    }
    optimizer_->step();
    figures.seconds = timer.seconds();
    if (statistics_) {
      statistics_->add_to(figures);
    }
    return figures;
  }

 private:
  void make_reducer() {
    ssdq::GradientReducer::NamedParameters parameters;
    for (const auto& item : detector_->named_parameters()) {
      parameters.emplace_back(item.key(), item.value());
    }
    ssdq::ReducerOptions options;
    options.bucket_bytes = static_cast<int64_t>(settings_.bucket_mb * (1 << 20));
    options.bfloat16 = settings_.bfloat16;
    reducer_ = std::make_unique<ssdq::GradientReducer>(parameters, *groups_[0], options);
  }

  void make_batch(ssdq::Size2 size, int64_t batch, int64_t priors, int rank) {
    torch::manual_seed(2 + static_cast<uint64_t>(rank));
    images_ = torch::randn({batch, 3, size.height, size.width});
    targets_ = torch::randn({batch, priors, 4});
    labels_ = torch::zeros({batch, priors}, torch::kInt64);
    labels_.index_fill_(1, torch::randperm(priors).slice(0, 0, 20), 1);
  }

  torch::Tensor loss() {
    std::optional<int64_t> positives;
    if (reducer_) {
      const torch::Tensor count = ssdq::count_positives(labels_);
      groups_[0]->all_reduce(count)->wait();
      positives = count.item<int64_t>();
    }
    const ssdq::StatisticsScope scope(statistics_, settings_.sync_bn);
    const auto output = detector_->forward(images_);
    const auto terms = ssdq::multibox_loss(output.class_logits, output.box_regression, labels_,
                                           targets_, 3, ssdq::ScoreFunction::kSoftmax, positives);
    if (reducer_) {
      const auto sums = torch::stack({terms.classification, terms.localization}).detach();
      groups_[0]->all_reduce(sums)->wait();
    }
    return terms.classification + terms.localization;
  }

  ssdq::Registries registries_;
  const RankSettings settings_;
  ssdq::Detector detector_{nullptr};
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  std::vector<std::shared_ptr<ssdq::ProcessGroup>> groups_;
  std::shared_ptr<CountingReducer> statistics_;
  std::unique_ptr<ssdq::GradientReducer> reducer_;
  torch::Tensor images_, targets_, labels_;
};

}  // namespace

std::vector<Figures> train_rank(const RankSettings& settings, const ssdq::World& world) {
  torch::set_num_threads(1);
  Training training(settings, world);
  for (int warmup = 0; warmup < 2; ++warmup) {
    training.step();
  }
  training.barrier();
  std::vector<Figures> steps;
  for (int i = 0; i < settings.steps; ++i) {
    steps.push_back(training.step());
  }
  training.barrier();  // nobody is faster because another has finished
  return steps;
}
