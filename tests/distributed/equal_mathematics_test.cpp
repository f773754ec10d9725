#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/distributed/broadcast_state.h"
#include "ssdq/distributed/gradient_reducer.h"
#include "ssdq/distributed/group_statistics.h"
#include "ssdq/layers/multibox_loss.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/modeling/state.h"
#include "ssdq/quantization/build.h"
#include "tests/distributed/thread_group.h"
#include "tests/modeling/graph_builder.h"

// N ranks with B images each make the step of one rank with N * B.
namespace ssdq {
namespace {

struct Setting {
  std::string name, type;
  Options options;
  torch::ScalarType dtype = torch::kFloat;
  double tolerance = 1e-5;  // of each tensor, to the norm of what it has moved
};

std::ostream& operator<<(std::ostream& out, const Setting& setting) { return out << setting.name; }

Detector make_detector(const Setting& setting) {
  static const QuantizerRegistry registry = [] {
    QuantizerRegistry all;
    register_quantizers(all);
    return all;
  }();
  QuantizationConfig config;
  config.type = setting.type;
  config.wbits = config.abits = 6;
  config.options = setting.options;
  config.layers = "all";
  torch::manual_seed(11);
  Detector detector(testing::small_detector(), 3, quantization_methods(registry, config), config);
  if (setting.dtype != torch::kFloat) {
    detector->to(setting.dtype);
  }
  detector->train();
  return detector;
}

// A batch of images with targets; the first images have no object.
struct Images {
  torch::Tensor pixels, labels, locations;

  Images part(int64_t begin, int64_t count) const {
    return {pixels.narrow(0, begin, count).contiguous(torch::MemoryFormat::ChannelsLast),
            labels.narrow(0, begin, count), locations.narrow(0, begin, count)};
  }
};

Images make_images(int64_t count, int64_t priors, torch::ScalarType dtype) {
  torch::manual_seed(23);
  Images images;
  images.pixels = torch::randn({count, 3, 12, 16}).to(dtype) + 0.3;
  images.labels =
      (torch::rand({count, priors}) < 0.1).to(torch::kLong) * torch::randint(1, 3, {count, priors});
  images.labels[0].zero_();
  images.labels[1].zero_();
  images.locations = torch::randn({count, priors, 4}).to(dtype);
  return images;
}

struct Outcome {
  std::map<std::string, torch::Tensor> state, gradients;
  double loss = 0;
};

Outcome outcome_of(const Detector& detector, double loss) {
  Outcome outcome;
  outcome.loss = loss;
  for (const auto& item : detector->named_parameters()) {
    outcome.state[item.key()] = item.value().detach().clone();
    if (item.value().grad().defined()) {
      outcome.gradients[item.key()] = item.value().grad().clone();
    }
  }
  for (const auto& item : detector->named_buffers()) {
    outcome.state[item.key()] = item.value().clone();
  }
  return outcome;
}

constexpr int kSteps = 2;

torch::optim::SGD optimizer_of(const Detector& detector) {
  return torch::optim::SGD(detector->parameters(), torch::optim::SGDOptions(0.05).momentum(0.9));
}

torch::Tensor loss_of(Detector& detector, const Images& images, std::optional<int64_t> divisor) {
  const DetectorOutput output = detector->forward(images.pixels);
  const MultiBoxLoss loss = multibox_loss(output.class_logits, output.box_regression, images.labels,
                                          images.locations, 3, ScoreFunction::kSoftmax, divisor);
  return loss.classification + loss.localization;
}

Outcome train_alone(const Setting& setting, const Images& images) {
  Detector detector = make_detector(setting);
  auto optimizer = optimizer_of(detector);
  torch::Tensor loss;
  for (int step = 0; step < kSteps; ++step) {
    loss = loss_of(detector, images.part(0, images.pixels.size(0)), {});
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  return outcome_of(detector, loss.item<double>());
}

Outcome train_rank(Detector& detector, const Images& images,
                   const std::shared_ptr<ProcessGroup>& group,
                   const std::shared_ptr<ProcessGroup>& of_statistics) {
  broadcast_state(*group, *detector);
  GradientReducer::NamedParameters parameters;
  for (const auto& item : detector->named_parameters()) {
    parameters.emplace_back(item.key(), item.value());
  }
  GradientReducer reducer(parameters, *group, {/*bucket_bytes=*/2000});
  EXPECT_GT(reducer.num_buckets(), 2U);
  const auto statistics = statistics_over(of_statistics);
  auto optimizer = optimizer_of(detector);
  torch::Tensor loss;
  for (int step = 0; step < kSteps; ++step) {
    const torch::Tensor positives = count_positives(images.labels);
    group->all_reduce(positives)->wait();
    {
      const StatisticsScope scope(statistics, /*batch_norm=*/true);
      loss = loss_of(detector, images, positives.item<int64_t>());
    }
    optimizer.zero_grad();
    loss.backward();
    reducer.finish();
    optimizer.step();
  }
  torch::Tensor total = loss.detach().clone();
  group->all_reduce(total)->wait();
  return outcome_of(detector, total.item<double>());
}

std::vector<Outcome> train_ranks(const Setting& setting, const Images& images, int ranks) {
  std::vector<Detector> detectors;
  for (int rank = 0; rank < ranks; ++rank) {
    detectors.push_back(make_detector(setting));
    if (rank > 0) {
      const torch::NoGradGuard no_grad;
      for (auto& parameter : detectors.back()->parameters()) {
        parameter.add_(rank);
      }
    }
  }
  std::vector<Outcome> outcomes(static_cast<size_t>(ranks));
  const int64_t each = images.pixels.size(0) / ranks;
  testing::run_ranks(ranks, [&](const auto& group, const auto& of_statistics) {
    const auto rank = static_cast<size_t>(group->rank());
    outcomes[rank] =
        train_rank(detectors[rank], images.part(group->rank() * each, each), group, of_statistics);
  });
  return outcomes;
}

void expect_equal(const std::map<std::string, torch::Tensor>& found,
                  const std::map<std::string, torch::Tensor>& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    const double norm = tensor.to(torch::kDouble).norm().item<double>();
    const double off =
        (found.at(name).to(torch::kDouble) - tensor.to(torch::kDouble)).norm().item<double>();
    EXPECT_LE(off, tolerance * (norm + 1e-3)) << name;
  }
}

class EqualMathematics : public ::testing::TestWithParam<Setting> {};

TEST_P(EqualMathematics, OfOneRankWithAllImages) {
  const Setting& setting = GetParam();
  const Images images = make_images(8, make_detector(setting)->num_priors(), setting.dtype);
  const Outcome alone = train_alone(setting, images);
  for (const int ranks : {2, 4}) {
    SCOPED_TRACE(ranks);
    const auto together = train_ranks(setting, images, ranks);
    for (const Outcome& one : together) {
      // The detector's outputs are float in any case.
      EXPECT_NEAR(one.loss, alone.loss, std::max(setting.tolerance, 1e-6) * alone.loss);
      expect_equal(one.gradients, alone.gradients, setting.tolerance);
      expect_equal(one.state, alone.state, setting.tolerance);
      expect_equal(one.state, together[0].state, 0);  // no rank drifts away
    }
  }
}

// A number on the edge between two codes may fall on the other side after rounding.
constexpr double kOfCodes = 1e-3;

INSTANTIATE_TEST_SUITE_P(
    Settings, EqualMathematics,
    ::testing::Values(Setting{"Float", "none", {}, torch::kFloat, 2e-5},
                      Setting{"Double", "none", {}, torch::kDouble, 1e-10},
                      Setting{"Uniform", "uniform", {}, torch::kFloat, kOfCodes},
                      Setting{"IaoOnePass", "iao", {}, torch::kFloat, kOfCodes},
                      Setting{"IaoTwoPass", "iao", {{"FOLD", "two_pass"}}, torch::kFloat, kOfCodes},
                      Setting{"Pact", "pact", {{"DECAY", "0.5"}}, torch::kFloat, kOfCodes},
                      Setting{"LsqPlus", "lsq_plus", {}, torch::kFloat, kOfCodes},
                      Setting{"Tqt", "tqt", {}, torch::kFloat, kOfCodes},
                      Setting{"LqNet", "lqnet", {}, torch::kFloat, kOfCodes}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace ssdq
