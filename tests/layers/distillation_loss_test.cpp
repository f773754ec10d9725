#include "ssdq/layers/distillation_loss.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using Row = torch::TensorAccessor<double, 1>;

double log_softmax(const Row& row, int64_t c, double temperature) {
  double sum = 0;
  for (int64_t k = 0; k < row.size(0); ++k) {
    sum += std::exp((row[k] - row[c]) / temperature);
  }
  return -std::log(sum);
}

double log_sigmoid(double x) { return -std::log(1 + std::exp(-x)); }

double divergence(const Row& student, const Row& teacher, double temperature,
                  ScoreFunction scores) {
  double sum = 0;
  for (int64_t c = scores == ScoreFunction::kSoftmax ? 0 : 1; c < student.size(0); ++c) {
    if (scores == ScoreFunction::kSoftmax) {
      const double t = log_softmax(teacher, c, temperature);
      sum += std::exp(t) * (t - log_softmax(student, c, temperature));
      continue;
    }
    for (const double sign : {1.0, -1.0}) {
      const double t = log_sigmoid(sign * teacher[c] / temperature);
      sum += std::exp(t) * (t - log_sigmoid(sign * student[c] / temperature));
    }
  }
  return sum;
}

// How much the teacher doubts that a prior is background.
double doubt(const Row& teacher, ScoreFunction scores) {
  if (scores == ScoreFunction::kSoftmax) {
    return -log_softmax(teacher, 0, 1);
  }
  double sum = 0;
  for (int64_t c = 1; c < teacher.size(0); ++c) {
    sum -= log_sigmoid(-teacher[c]);
  }
  return sum;
}

struct Inputs {
  torch::Tensor student, teacher, labels;  // logits
  torch::Tensor student_boxes, teacher_boxes;
};

// With loops over images and priors.
double naive_logits(const Inputs& inputs, double ratio, double temperature, ScoreFunction scores) {
  const auto student = inputs.student.accessor<double, 3>();
  const auto teacher = inputs.teacher.accessor<double, 3>();
  const auto labels = inputs.labels.accessor<int64_t, 2>();
  double sum = 0;
  int64_t all_positives = 0;
  for (int64_t n = 0; n < student.size(0); ++n) {
    std::vector<std::pair<double, double>> negatives;  // doubt, divergence
    int64_t positives = 0;
    for (int64_t p = 0; p < student.size(1); ++p) {
      const double value = divergence(student[n][p], teacher[n][p], temperature, scores);
      if (labels[n][p] > 0) {
        ++positives;
        sum += value;
      } else {
        negatives.emplace_back(doubt(teacher[n][p], scores), value);
      }
    }
    std::sort(negatives.rbegin(), negatives.rend());
    const auto wanted = static_cast<size_t>(std::ceil(static_cast<double>(positives) * ratio));
    for (size_t i = 0; i < std::min(wanted, negatives.size()); ++i) {
      sum += negatives[i].second;
    }
    all_positives += positives;
  }
  return temperature * temperature * sum / static_cast<double>(std::max<int64_t>(all_positives, 1));
}

double naive_boxes(const Inputs& inputs) {
  const auto student = inputs.student_boxes.accessor<double, 3>();
  const auto teacher = inputs.teacher_boxes.accessor<double, 3>();
  const auto labels = inputs.labels.accessor<int64_t, 2>();
  double sum = 0;
  int64_t positives = 0;
  for (int64_t n = 0; n < student.size(0); ++n) {
    for (int64_t p = 0; p < student.size(1); ++p) {
      positives += labels[n][p] > 0 ? 1 : 0;
      for (int64_t i = 0; i < 4 && labels[n][p] > 0; ++i) {
        const double d = std::abs(student[n][p][i] - teacher[n][p][i]);
        sum += d < 1 ? d * d / 2 : d - 0.5;
      }
    }
  }
  return sum / static_cast<double>(std::max<int64_t>(positives, 1));
}

std::vector<double> naive_attention(const torch::TensorAccessor<double, 3>& feature) {
  std::vector<double> map;
  double norm = 0;
  for (int64_t y = 0; y < feature.size(1); ++y) {
    for (int64_t x = 0; x < feature.size(2); ++x) {
      map.push_back(0);
      for (int64_t c = 0; c < feature.size(0); ++c) {
        map.back() += feature[c][y][x] * feature[c][y][x];
      }
      norm += map.back() * map.back();
    }
  }
  for (double& value : map) {
    value /= std::sqrt(norm);
  }
  return map;
}

using Features = std::vector<torch::Tensor>;

double naive_attention_loss(const Features& student, const Features& teacher) {
  double sum = 0;
  for (size_t level = 0; level < student.size(); ++level) {
    const auto ours = student[level].accessor<double, 4>();
    const auto theirs = teacher[level].accessor<double, 4>();
    for (int64_t n = 0; n < ours.size(0); ++n) {
      const auto a = naive_attention(ours[n]);
      const auto b = naive_attention(theirs[n]);
      double square = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        square += (a[i] - b[i]) * (a[i] - b[i]);
      }
      sum += std::sqrt(square) / static_cast<double>(ours.size(0));
    }
  }
  return sum / static_cast<double>(student.size());
}

Inputs make_inputs(int64_t images, int64_t priors, int64_t classes, double positive_share) {
  Inputs inputs;
  for (torch::Tensor* logits : {&inputs.student, &inputs.teacher}) {
    *logits = torch::randn({images, priors, classes}, torch::kFloat64) * 3;
  }
  for (torch::Tensor* boxes : {&inputs.student_boxes, &inputs.teacher_boxes}) {
    *boxes = torch::randn({images, priors, 4}, torch::kFloat64);
  }
  inputs.labels = torch::randint(1, classes, {images, priors}, torch::kInt64) *
                  (torch::rand({images, priors}) < positive_share).to(torch::kInt64);
  return inputs;
}

Features make_features(const std::vector<int64_t>& channels, int64_t images = 2) {
  const std::vector<std::vector<int64_t>> sizes{{5, 4}, {3, 3}};
  Features features;
  for (size_t level = 0; level < channels.size(); ++level) {
    features.push_back(
        torch::randn({images, channels[level], sizes[level][0], sizes[level][1]}, torch::kFloat64));
  }
  return features;
}

// d loss / d input against central differences.
void expect_gradient(const torch::Tensor& input, const std::function<torch::Tensor()>& loss) {
  loss().backward();
  const torch::Tensor gradient = input.grad().flatten();
  const torch::NoGradGuard no_grad;
  const torch::Tensor flat = input.view(-1);
  constexpr double kStep = 1e-6;
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const auto at = [&](double shift) {
      flat[i] += shift;
      const auto value = loss().item<double>();
      flat[i] -= shift;
      return value;
    };
    EXPECT_NEAR(gradient[i].item<double>(), (at(kStep) - at(-kStep)) / (2 * kStep), 1e-6)
        << "element " << i;
  }
}

class LossTest : public ::testing::Test {
 protected:
  LossTest() {
    torch::manual_seed(5);
    torch::set_num_threads(1);
  }
};

class DistillationLoss : public LossTest, public ::testing::WithParamInterface<ScoreFunction> {
 protected:
  torch::Tensor logits(const Inputs& inputs, double temperature, double ratio = 3) const {
    return logit_distillation(inputs.student, inputs.teacher, inputs.labels, ratio, temperature,
                              GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Scores, DistillationLoss,
                         ::testing::Values(ScoreFunction::kSoftmax, ScoreFunction::kSigmoid),
                         [](const ::testing::TestParamInfo<ScoreFunction>& test) {
                           return test.param == ScoreFunction::kSoftmax ? "Softmax" : "Sigmoid";
                         });

TEST_P(DistillationLoss, OfLogitsEqualsTheNaiveLoops) {
  for (const double temperature : {0.5, 1.0, 4.0}) {
    for (const double ratio : {0.0, 1.5, 3.0}) {
      Inputs inputs = make_inputs(3, 61, 5, 0.1);
      inputs.labels[0].zero_();  // an image without objects
      const double expected = naive_logits(inputs, ratio, temperature, GetParam());
      ASSERT_GT(expected, 0);
      EXPECT_NEAR(logits(inputs, temperature, ratio).item<double>(), expected, 1e-9 * expected);
      inputs.student = inputs.student.to(torch::kFloat32);
      const torch::Tensor single = logits(inputs, temperature, ratio);
      EXPECT_EQ(single.scalar_type(), torch::kFloat32);
      EXPECT_NEAR(single.item<double>(), expected, 1e-4 * expected);
    }
  }
}

TEST_P(DistillationLoss, OfLogitsHasTheGradientOfFiniteDifferencesForTheStudentAlone) {
  Inputs inputs = make_inputs(2, 12, 4, 0.2);
  inputs.student.requires_grad_();
  inputs.teacher.requires_grad_();
  expect_gradient(inputs.student, [&] { return logits(inputs, 2); });
  EXPECT_FALSE(inputs.teacher.grad().defined());
}

TEST_P(DistillationLoss, OfHotLogitsIsHalfTheSquaredDifferenceAroundItsMean) {
  Inputs inputs = make_inputs(1, 9, 5, 2);  // every prior counts
  const torch::Tensor difference = inputs.student - inputs.teacher;
  // Hinton et al., section 2.1, and its like for a sigmoid, p (1 - p) / 2 = 1/8.
  const torch::Tensor limit = GetParam() == ScoreFunction::kSoftmax
                                  ? (difference - difference.mean(2, true)).square().sum() / (2 * 5)
                                  : difference.slice(2, 1).square().sum() / 8;
  EXPECT_NEAR(logits(inputs, 1e4).item<double>(), limit.item<double>() / 9, 1e-2);
}

TEST_P(DistillationLoss, OfEqualLogitsIsZeroAndFlat) {
  Inputs inputs = make_inputs(2, 20, 4, 0.3);
  inputs.student = inputs.teacher.clone().requires_grad_();
  const torch::Tensor loss = logits(inputs, 3);
  EXPECT_EQ(loss.item<double>(), 0);
  loss.backward();
  EXPECT_LT(inputs.student.grad().abs().max().item<double>(), 1e-15);
}

TEST_P(DistillationLoss, OfImagesWithoutObjectsIsZeroAndDifferentiable) {
  Inputs inputs = make_inputs(2, 20, 4, -1);
  inputs.student.requires_grad_();
  inputs.student_boxes.requires_grad_();
  const torch::Tensor loss =
      logits(inputs, 3) +
      box_distillation(inputs.student_boxes, inputs.teacher_boxes, inputs.labels);
  EXPECT_EQ(loss.item<double>(), 0);
  loss.backward();
  EXPECT_EQ(inputs.student.grad().abs().sum().item<double>(), 0);
  EXPECT_EQ(inputs.student_boxes.grad().abs().sum().item<double>(), 0);
}

TEST_P(DistillationLoss, OfATeacherWithANanIsNan) {
  Inputs inputs = make_inputs(2, 20, 4, 0.1);
  inputs.teacher[1][7][2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(logits(inputs, 2).item<double>()));
}

using BoxDistillation = LossTest;

TEST_F(BoxDistillation, EqualsTheNaiveLoops) {
  Inputs inputs = make_inputs(3, 40, 4, 0.2);
  inputs.student_boxes.requires_grad_();
  const auto loss = [&] {
    return box_distillation(inputs.student_boxes, inputs.teacher_boxes, inputs.labels);
  };
  EXPECT_NEAR(loss().item<double>(), naive_boxes(inputs), 1e-12);
  expect_gradient(inputs.student_boxes, loss);
}

TEST_F(BoxDistillation, OutputsOfOtherPriorsAreRefused) {
  const Inputs inputs = make_inputs(2, 10, 3, 0.5);
  EXPECT_THROW(
      box_distillation(inputs.student_boxes, inputs.teacher_boxes.slice(1, 0, 9), inputs.labels),
      Error);
  EXPECT_THROW(
      box_distillation(inputs.student_boxes, inputs.teacher_boxes, inputs.labels.slice(1, 0, 9)),
      Error);
}

using AttentionDistillation = LossTest;

TEST_F(AttentionDistillation, EqualsTheNaiveLoopsForOtherChannelCounts) {
  const Features student = make_features({3, 2});
  const Features teacher = make_features({7, 2});
  const auto loss = [&] { return attention_distillation(student, teacher); };
  EXPECT_NEAR(loss().item<double>(), naive_attention_loss(student, teacher), 1e-12);
  student[0].requires_grad_();
  expect_gradient(student[0], loss);
}

TEST_F(AttentionDistillation, SeesNeitherScaleNorOrderOfChannels) {
  const Features teacher = make_features({4, 4});
  Features student{teacher[0].flip(1) * 3, -teacher[1]};
  EXPECT_NEAR(attention_distillation(student, teacher).item<double>(), 0, 1e-12);
}

TEST_F(AttentionDistillation, OfEqualOrEmptyFeaturesIsZeroAndFlat) {
  for (const double scale : {1.0, 0.0}) {
    const Features teacher{make_features({4})[0] * scale};
    const Features student{teacher[0].clone().requires_grad_()};
    const torch::Tensor loss = attention_distillation(student, teacher);
    EXPECT_EQ(loss.item<double>(), 0);
    loss.backward();
    EXPECT_EQ(student[0].grad().abs().max().item<double>(), 0);
  }
}

TEST_F(AttentionDistillation, MapsOfAnotherSizeAreRefused) {
  Features student = make_features({3, 3});
  const Features teacher = make_features({3, 3});
  student[1] = student[1].slice(2, 0, 2);
  EXPECT_THROW(attention_distillation(student, teacher), Error);
  student.pop_back();
  EXPECT_THROW(attention_distillation(student, teacher), Error);
}

}  // namespace
}  // namespace ssdq
