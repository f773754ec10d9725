#include "ssdq/layers/multibox_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

struct NaiveLoss {
  double classification = 0, localization = 0;
  int num_positive = 0;
};

double cross_entropy(const torch::TensorAccessor<double, 1>& row, int64_t label) {
  double sum = 0;
  for (int64_t c = 0; c < row.size(0); ++c) {
    sum += std::exp(row[c] - row[label]);
  }
  return std::log(sum);
}

double binary_cross_entropy(const torch::TensorAccessor<double, 1>& row, int64_t label) {
  double sum = 0;
  for (int64_t c = 1; c < row.size(0); ++c) {
    sum += std::log(1 + std::exp(c == label ? -row[c] : row[c]));
  }
  return sum;
}

// The loss with loops over images and priors, in double.
NaiveLoss naive_loss(const torch::Tensor& logits, const torch::Tensor& boxes,
                     const torch::Tensor& labels, const torch::Tensor& targets, double ratio,
                     ScoreFunction scores = ScoreFunction::kSoftmax) {
  const auto class_loss = [&](const torch::TensorAccessor<double, 1>& row, int64_t label) {
    return scores == ScoreFunction::kSoftmax ? cross_entropy(row, label)
                                             : binary_cross_entropy(row, label);
  };
  const torch::Tensor logits64 = logits.to(torch::kFloat64);
  const torch::Tensor boxes64 = boxes.to(torch::kFloat64);
  const torch::Tensor targets64 = targets.to(torch::kFloat64);
  const auto score = logits64.accessor<double, 3>();
  const auto box = boxes64.accessor<double, 3>();
  const auto target = targets64.accessor<double, 3>();
  const auto label = labels.accessor<int64_t, 2>();
  NaiveLoss loss;
  for (int64_t n = 0; n < score.size(0); ++n) {
    std::vector<double> negatives;
    int positives = 0;
    for (int64_t p = 0; p < score.size(1); ++p) {
      if (label[n][p] == 0) {
        negatives.push_back(class_loss(score[n][p], 0));
        continue;
      }
      ++positives;
      loss.classification += class_loss(score[n][p], label[n][p]);
      for (int i = 0; i < 4; ++i) {
        const double d = std::abs(box[n][p][i] - target[n][p][i]);
        loss.localization += d < 1 ? d * d / 2 : d - 0.5;
      }
    }
    std::sort(negatives.rbegin(), negatives.rend());
    const auto wanted = static_cast<size_t>(std::ceil(positives * ratio));
    for (size_t i = 0; i < std::min(wanted, negatives.size()); ++i) {
      loss.classification += negatives[i];
    }
    loss.num_positive += positives;
  }
  loss.classification /= std::max(1, loss.num_positive);
  loss.localization /= std::max(1, loss.num_positive);
  return loss;
}

struct Inputs {
  torch::Tensor logits, boxes, labels, targets;

  MultiBoxLoss loss(double ratio = 3, ScoreFunction scores = ScoreFunction::kSoftmax) const {
    return multibox_loss(logits, boxes, labels, targets, ratio, scores);
  }
};

Inputs make_inputs(int64_t images, int64_t priors, int64_t classes, double positive_share) {
  Inputs inputs;
  inputs.logits = torch::randn({images, priors, classes}) * 3;
  inputs.boxes = torch::randn({images, priors, 4});
  inputs.targets = torch::randn({images, priors, 4});
  inputs.labels = torch::randint(1, classes, {images, priors}, torch::kInt64) *
                  (torch::rand({images, priors}) < positive_share).to(torch::kInt64);
  return inputs;
}

class MultiBoxLossTest : public ::testing::Test {
 protected:
  MultiBoxLossTest() {
    torch::manual_seed(3);
    torch::set_num_threads(1);
  }
};

struct Case {
  const char* name;
  double positive_share, ratio;
};

std::ostream& operator<<(std::ostream& out, const Case& value) { return out << value.name; }

class MultiBoxLossCases : public MultiBoxLossTest, public ::testing::WithParamInterface<Case> {};

TEST_P(MultiBoxLossCases, EqualsTheNaiveLoops) {
  for (int round = 0; round < 10; ++round) {
    const auto scores = round % 2 == 0 ? ScoreFunction::kSoftmax : ScoreFunction::kSigmoid;
    Inputs inputs = make_inputs(4, 97, 6, GetParam().positive_share);
    inputs.labels[0].zero_();  // an image without objects
    const NaiveLoss expected = naive_loss(inputs.logits, inputs.boxes, inputs.labels,
                                          inputs.targets, GetParam().ratio, scores);
    const MultiBoxLoss actual = inputs.loss(GetParam().ratio, scores);
    EXPECT_EQ(actual.num_positive, expected.num_positive);
    EXPECT_NEAR(actual.classification.item<double>(), expected.classification,
                1e-5 * (1 + expected.classification));
    EXPECT_NEAR(actual.localization.item<double>(), expected.localization,
                1e-5 * (1 + expected.localization));
  }
}

INSTANTIATE_TEST_SUITE_P(All, MultiBoxLossCases,
                         ::testing::Values(Case{"Few", 0.03, 3}, Case{"NegativesRunOut", 0.5, 3},
                                           Case{"AllPositive", 2, 3}, Case{"NoNegatives", 0.1, 0},
                                           Case{"HalfRatio", 0.1, 1.5}, Case{"NoPositives", -1, 3}),
                         [](const ::testing::TestParamInfo<Case>& test) {
                           return test.param.name;
                         });

TEST_F(MultiBoxLossTest, GradientsAreThoseOfFiniteDifferences) {
  Inputs inputs = make_inputs(2, 12, 4, 0.2);
  inputs.logits = inputs.logits.to(torch::kFloat64).requires_grad_();
  inputs.boxes = inputs.boxes.to(torch::kFloat64).requires_grad_();
  inputs.targets = inputs.targets.to(torch::kFloat64);
  const MultiBoxLoss loss = inputs.loss();
  ASSERT_GT(loss.num_positive, 0);
  (loss.classification + 2 * loss.localization).backward();
  const torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (const torch::Tensor& input : {inputs.logits, inputs.boxes}) {
    const torch::Tensor flat = input.flatten();
    const torch::Tensor gradient = input.grad().flatten();
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const auto at = [&](double shift) {
        flat[i] += shift;
        const MultiBoxLoss moved = inputs.loss();
        flat[i] -= shift;
        return (moved.classification + 2 * moved.localization).item<double>();
      };
      EXPECT_NEAR(gradient[i].item<double>(), (at(kStep) - at(-kStep)) / (2 * kStep), 1e-6)
          << "element " << i;
    }
  }
}

// With a part that has no positives.
TEST_F(MultiBoxLossTest, PartsOfABatchAddUpToIt) {
  Inputs inputs = make_inputs(6, 30, 4, 0.2);
  inputs.labels.narrow(0, 0, 2).zero_();
  inputs.logits.requires_grad_();
  inputs.boxes.requires_grad_();
  const auto gradients = [&](const std::vector<torch::Tensor>& losses) {
    return torch::autograd::grad(losses, {inputs.logits, inputs.boxes});
  };
  const MultiBoxLoss whole = inputs.loss();
  EXPECT_EQ(count_positives(inputs.labels).item<int64_t>(), whole.num_positive);
  torch::Tensor classification = torch::zeros({}), localization = torch::zeros({});
  for (int64_t first = 0; first < 6; first += 2) {
    const auto part = [&](const torch::Tensor& of) { return of.narrow(0, first, 2); };
    const MultiBoxLoss loss =
        multibox_loss(part(inputs.logits), part(inputs.boxes), part(inputs.labels),
                      part(inputs.targets), 3, ScoreFunction::kSoftmax, whole.num_positive);
    classification = classification + loss.classification;
    localization = localization + loss.localization;
  }
  EXPECT_TRUE(torch::allclose(classification, whole.classification));
  EXPECT_TRUE(torch::allclose(localization, whole.localization));
  const auto expected = gradients({whole.classification, whole.localization});
  const auto found = gradients({classification, localization});
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(torch::allclose(found[i], expected[i], 1e-5, 1e-7));
  }
}

TEST_F(MultiBoxLossTest, SigmoidScoresGiveTheBackgroundLogitNoGradient) {
  Inputs inputs = make_inputs(2, 20, 4, 0.2);
  inputs.logits.requires_grad_();
  inputs.loss(3, ScoreFunction::kSigmoid).classification.backward();
  const torch::Tensor gradient = inputs.logits.grad().abs().flatten(0, 1).sum(0);
  EXPECT_EQ(gradient[0].item<float>(), 0);
  EXPECT_GT(gradient.slice(0, 1).min().item<float>(), 0);
}

TEST_F(MultiBoxLossTest, WithoutPositivesBothLossesAreZeroAndDifferentiable) {
  Inputs inputs = make_inputs(2, 10, 3, -1);
  inputs.logits.requires_grad_();
  inputs.boxes.requires_grad_();
  const MultiBoxLoss loss = inputs.loss();
  EXPECT_EQ(loss.num_positive, 0);
  EXPECT_EQ(loss.classification.item<float>(), 0);
  EXPECT_EQ(loss.localization.item<float>(), 0);
  (loss.classification + loss.localization).backward();
  EXPECT_EQ(inputs.logits.grad().abs().sum().item<float>(), 0);
  EXPECT_EQ(inputs.boxes.grad().abs().sum().item<float>(), 0);
}

TEST_F(MultiBoxLossTest, ANanLogitAnywhereGivesANanLoss) {
  for (const int64_t prior : {0, 5, 9}) {
    for (const double share : {-1.0, 0.2, 2.0}) {
      Inputs inputs = make_inputs(2, 10, 3, share);
      inputs.logits[1][prior][1] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(inputs.loss().classification.item<float>()))
          << "prior " << prior << ", share " << share;
    }
  }
}

TEST_F(MultiBoxLossTest, OfEqualNegativesTheFirstAreTaken) {
  Inputs inputs = make_inputs(1, 8, 3, -1);
  inputs.logits = torch::zeros({1, 8, 3}).requires_grad_();
  inputs.labels[0][4] = 1;
  inputs.loss(3).classification.backward();
  const torch::Tensor touched = inputs.logits.grad().abs().sum(2)[0] > 0;
  const torch::Tensor expected = torch::tensor({1, 1, 1, 0, 1, 0, 0, 0}, torch::kBool);
  EXPECT_TRUE(torch::equal(touched, expected)) << touched;
}

TEST_F(MultiBoxLossTest, LowPrecisionInputsAreComputedInFloat) {
  Inputs inputs = make_inputs(2, 50, 5, 0.1);
  inputs.logits = inputs.logits.to(torch::kBFloat16);
  inputs.boxes = inputs.boxes.to(torch::kBFloat16);
  const MultiBoxLoss loss = inputs.loss();
  EXPECT_EQ(loss.classification.scalar_type(), torch::kFloat32);
  EXPECT_EQ(loss.localization.scalar_type(), torch::kFloat32);
  const NaiveLoss expected =
      naive_loss(inputs.logits, inputs.boxes, inputs.labels, inputs.targets, 3);
  EXPECT_NEAR(loss.classification.item<double>(), expected.classification, 1e-4);
  EXPECT_NEAR(loss.localization.item<double>(), expected.localization, 1e-4);
}

TEST_F(MultiBoxLossTest, AnotherNumberOfPriorsIsRefused) {
  Inputs inputs = make_inputs(2, 10, 3, 0.5);
  inputs.labels = inputs.labels.slice(1, 0, 9);
  try {
    inputs.loss();
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "multibox loss got logits for 2 images and 10 priors, but boxes, labels or "
                 "targets of another number: "
                 "make the priors of the data set and of the network the same");
  }
}

TEST_F(MultiBoxLossTest, EqualsTheCpu_CUDA) {
  if (!torch::cuda::is_available()) {
    GTEST_SKIP() << "no CUDA device";
  }
  const Inputs inputs = make_inputs(4, 97, 6, 0.1);
  const MultiBoxLoss expected = inputs.loss();
  const Inputs moved{inputs.logits.cuda(), inputs.boxes.cuda(), inputs.labels.cuda(),
                     inputs.targets.cuda()};
  const MultiBoxLoss actual = moved.loss();
  EXPECT_NEAR(actual.classification.item<double>(), expected.classification.item<double>(), 1e-4);
  EXPECT_NEAR(actual.localization.item<double>(), expected.localization.item<double>(), 1e-4);
}

}  // namespace
}  // namespace ssdq
