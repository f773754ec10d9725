#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/quantization/build.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

const std::vector<std::string> kMethods = {"uniform", "iao", "dorefa", "lsq",  "lsq_plus",
                                           "pact",    "tqt", "bwn",    "lqnet"};

std::shared_ptr<QuantizationMethod> make_method(const std::string& name, Options options = {}) {
  QuantizerRegistry registry;
  register_quantizers(registry);
  QuantizationConfig config;
  config.type = name;
  config.options = std::move(options);
  return registry.create(name, config);
}

enum class Role { kWeight, kActivation };

QuantizerPtr make(const std::string& method, Role role, int bits, bool is_signed = true,
                  Options options = {}) {
  const auto made = make_method(method, std::move(options));
  const TensorSpec spec{bits, is_signed, role == Role::kWeight ? 2 : 3, "conv7"};
  return role == Role::kWeight ? made->weight_quantizer(spec) : made->activation_quantizer(spec);
}

torch::Tensor parameter(const QuantizerPtr& quantizer, const std::string& name) {
  const auto parameters = quantizer->named_parameters();
  const torch::Tensor* found = parameters.find(name);
  SSDQ_CHECK(found != nullptr, "no parameter {}", name);
  return *found;
}

// Sets parameters and ends the search for a range.
void set(const QuantizerPtr& quantizer, const std::map<std::string, double>& values) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, value] : values) {
    parameter(quantizer, name).fill_(value);
  }
  const auto buffers = quantizer->named_buffers();
  if (const torch::Tensor* observed = buffers.find("observed")) {
    observed->fill_(1);
  }
}

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string config_error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

bool one_sentence(const std::string& text) {
  return !text.empty() && text.find('\n') == std::string::npos &&
         text.find(". ") == std::string::npos;
}

class AnyQuantizer : public testing::TestWithParam<std::string> {
 protected:
  static constexpr int kBits = 2;  // every method has it

  bool learns_activation_ranges() const { return GetParam() != "dorefa" && GetParam() != "bwn"; }
};

TEST_P(AnyQuantizer, RefusesInfinitiesAndNanNamingTheNode) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Role role : {Role::kWeight, Role::kActivation}) {
    for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
      for (const int64_t place : {0, 37, 71}) {  // in the first vector, between, in the last one
        const QuantizerPtr quantizer = make(GetParam(), role, kBits);
        torch::Tensor x = torch::linspace(-1, 1, 72).view({2, 3, 3, 4});
        torch::Tensor poisoned = x.clone();
        poisoned.view(-1)[place] = bad;
        const auto run = [&] { quantizer->forward(poisoned); };
        EXPECT_NE(error_of(run).find("conv7"), std::string::npos) << bad << " in training";
        quantizer->forward(x);
        quantizer->eval();
        EXPECT_NE(error_of(run).find("conv7"), std::string::npos) << bad << " in evaluation";
      }
    }
  }
}

TEST_P(AnyQuantizer, BadInputLeavesTheRangeUsable) {
  const torch::Tensor x = torch::linspace(-1, 1, 72).view({2, 3, 3, 4});
  const QuantizerPtr clean = make(GetParam(), Role::kActivation, kBits);
  const QuantizerPtr shaken = make(GetParam(), Role::kActivation, kBits);
  torch::Tensor poisoned = x.clone();
  poisoned.view(-1)[5] = std::numeric_limits<float>::quiet_NaN();
  error_of([&] { shaken->forward(poisoned); });
  EXPECT_TRUE(torch::equal(shaken->forward(x), clean->forward(x)));
}

TEST_P(AnyQuantizer, EvaluationWithoutARangeIsAnErrorNamingTheNode) {
  const QuantizerPtr quantizer = make(GetParam(), Role::kActivation, kBits);
  quantizer->eval();
  const std::string message = error_of([&] { quantizer->forward(torch::ones({1, 3, 2, 2})); });
  EXPECT_EQ(message.find("conv7") != std::string::npos, learns_activation_ranges()) << message;
}

TEST_P(AnyQuantizer, ReturnsItsInputWhileQuantizationIsOff) {
  for (const Role role : {Role::kWeight, Role::kActivation}) {
    const QuantizerPtr quantizer = make(GetParam(), role, kBits);
    quantizer->set_mode({false, true});
    const torch::Tensor x = torch::randn({2, 3, 3, 4});
    EXPECT_TRUE(torch::equal(quantizer->forward(x), x));
  }
}

TEST_P(AnyQuantizer, StateComesBackFromAnArchive) {
  torch::manual_seed(1);
  const torch::Tensor x = torch::randn({2, 3, 3, 4});
  for (const Role role : {Role::kWeight, Role::kActivation}) {
    const QuantizerPtr trained = make(GetParam(), role, kBits);
    const QuantizerPtr fresh = make(GetParam(), role, kBits);
    trained->forward(x);
    trained->forward(x * 2);
    torch::serialize::OutputArchive out;
    trained->save(out);
    std::stringstream stream;
    out.save_to(stream);
    torch::serialize::InputArchive in;
    in.load_from(stream);
    fresh->load(in);
    trained->eval();
    fresh->eval();
    EXPECT_TRUE(torch::equal(fresh->forward(x), trained->forward(x)));
  }
}

TEST_P(AnyQuantizer, UnknownOptionIsOneSentenceNamingKeyAndMethod) {
  const std::string message = config_error_of([&] {
    make_method(GetParam(), {{"COLOUR", "red"}});
  });
  EXPECT_TRUE(one_sentence(message)) << message;
  EXPECT_NE(message.find("QUANTIZATION.OPTIONS"), std::string::npos) << message;
  EXPECT_NE(message.find("'COLOUR'"), std::string::npos) << message;
  EXPECT_NE(message.find(GetParam()), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(Methods, AnyQuantizer, testing::ValuesIn(kMethods),
                         [](const auto& tested) { return tested.param; });

struct Widths {
  std::string method;
  std::vector<int> weights, signed_activations, unsigned_activations;  // refused
  std::vector<int> off = {32};                                         // left alone
};

void PrintTo(const Widths& widths, std::ostream* stream) { *stream << widths.method; }

class RefusedWidths : public testing::TestWithParam<Widths> {};

TEST_P(RefusedWidths, AreOneSentenceNamingTheNode) {
  const auto expect_refused = [&](Role role, bool is_signed, const std::vector<int>& widths) {
    for (const int bits : widths) {
      const std::string message =
          config_error_of([&] { make(GetParam().method, role, bits, is_signed); });
      EXPECT_TRUE(one_sentence(message)) << bits << ": " << message;
      EXPECT_EQ(message.rfind("conv7", 0), 0U) << bits << ": " << message;
      EXPECT_NE(message.find(std::to_string(bits)), std::string::npos) << message;
    }
  };
  expect_refused(Role::kWeight, true, GetParam().weights);
  expect_refused(Role::kActivation, true, GetParam().signed_activations);
  expect_refused(Role::kActivation, false, GetParam().unsigned_activations);
}

TEST_P(RefusedWidths, DoNotIncludeTheOnesThatMeanOff) {
  for (const int bits : GetParam().off) {
    EXPECT_EQ(make(GetParam().method, Role::kWeight, bits), nullptr) << bits;
    EXPECT_EQ(make(GetParam().method, Role::kActivation, bits, false), nullptr) << bits;
  }
}

const std::vector<int> kFromTwo{-1, 0, 1, 17, 31, 33}, kFromOne{-1, 0, 17, 31, 33};

INSTANTIATE_TEST_SUITE_P(
    Methods, RefusedWidths,
    testing::Values(Widths{"uniform", kFromTwo, kFromTwo, kFromOne},
                    Widths{"iao", kFromTwo, kFromTwo, kFromTwo},
                    Widths{"dorefa", kFromTwo, kFromTwo, kFromTwo},
                    Widths{"lsq", kFromTwo, kFromTwo, kFromOne},
                    Widths{"lsq_plus", kFromTwo, kFromTwo, {-1, 0, 17, 31, 33}},
                    Widths{"pact", kFromTwo, kFromTwo, kFromOne},
                    Widths{"tqt", kFromTwo, kFromTwo, kFromOne},
                    Widths{"bwn", {0, 1, 4, 8, 31}, {0, 1, 3, 4, 8, 31}, {0, 1, 3, 8}, {16, 32}},
                    Widths{"lqnet", {0, 9, 16, 31}, {0, 9, 16, 31}, {0, 9, 16, 31}}),
    [](const auto& tested) { return tested.param.method; });

TEST(QuantizerOptions, BadValueIsOneSentenceNamingTheKey) {
  const std::vector<std::array<std::string, 3>> bad{{"uniform", "WEIGHT_GRANULARITY", "row"},
                                                    {"uniform", "ACTIVATION_SYMMETRIC", "maybe"},
                                                    {"uniform", "ACTIVATION_CODES", "unsigned"},
                                                    {"uniform", "POWER_OF_TWO", "2"},
                                                    {"uniform", "MOMENTUM", "-0.1"},
                                                    {"iao", "SYMMETRIC", "maybe"},
                                                    {"iao", "FOLD", "three_pass"},
                                                    {"dorefa", "ACTIVATION_SCALE", "0"},
                                                    {"dorefa", "RESCALE_OUTPUT", "maybe"},
                                                    {"lsq", "GRADIENT_SCALE", "maybe"},
                                                    {"lsq_plus", "WEIGHT_GRANULARITY", "row"},
                                                    {"pact", "ALPHA", "-1"},
                                                    {"pact", "DECAY", "x"},
                                                    {"tqt", "GRADIENT_SCALE", "maybe"}};
  for (const auto& [method, key, value] : bad) {
    const std::string message = config_error_of([&, m = method, k = key, v = value] {
      make(m, Role::kWeight, 2, true, {{k, v}});
      make(m, Role::kActivation, 2, true, {{k, v}});
    });
    EXPECT_TRUE(one_sentence(message)) << message;
    EXPECT_NE(message.find("QUANTIZATION.OPTIONS." + key), std::string::npos) << message;
    EXPECT_NE(message.find("'" + value + "'"), std::string::npos) << message;
  }
}

TEST(RangeFromData, SignedCodesAreSymmetricWhateverTheSignOfTheTensor) {
  for (const bool is_signed : {false, true}) {
    const QuantizerPtr quantizer =
        make("uniform", Role::kActivation, 8, is_signed, {{"ACTIVATION_CODES", "signed"}});
    ASSERT_TRUE(quantizer->set_range(12.7));
    quantizer->eval();
    const auto code = quantizer->value_code(torch::zeros({1}));
    ASSERT_TRUE(code);
    EXPECT_EQ(code->low.item<double>(), -127);
    EXPECT_EQ(code->high.item<double>(), 127);
    EXPECT_NEAR(code->step.item<double>(), 0.1, 1e-7);
    const torch::Tensor y = quantizer->forward(torch::tensor({-20.0F, -0.16F, 0.04F, 99.0F}));
    EXPECT_TRUE(torch::allclose(y, torch::tensor({-12.7F, -0.2F, 0.0F, 12.7F}), 1e-6, 1e-6)) << y;
  }
}

TEST(RangeFromData, ARangeFromElsewhereStandsForObservation) {
  const auto range_of = [](const QuantizerPtr& quantizer) {
    EXPECT_TRUE(quantizer->set_range(3));
    quantizer->eval();
    const auto code = quantizer->value_code(torch::zeros({1}));
    return std::pair{(code->low * code->step).item<double>(),
                     (code->high * code->step).item<double>()};
  };
  const auto [none, high] = range_of(make("iao", Role::kActivation, 8, false));
  EXPECT_EQ(none, 0);
  EXPECT_NEAR(high, 3, 1e-6);
  const auto [low, most] = range_of(make("uniform", Role::kActivation, 8, true));
  EXPECT_NEAR(low, -3 * 128 / 127.0, 1e-6);
  EXPECT_NEAR(most, 3, 1e-6);
  EXPECT_FALSE(make("dorefa", Role::kActivation, 8)->set_range(3));
}

TEST(RangeFromData, StaysWhenObservationStops) {
  for (const std::string method : {"uniform", "iao"}) {
    const QuantizerPtr quantizer = make(method, Role::kActivation, 4);
    const torch::Tensor x = torch::linspace(-1, 1, 24).view({2, 3, 2, 2});
    const torch::Tensor y = quantizer->forward(x);
    quantizer->set_mode({true, false});
    quantizer->forward(x * 5);
    EXPECT_TRUE(torch::equal(quantizer->forward(x), y)) << method;
  }
}

// Outside its range the output is a linear function of step, offset and clip, without rounding:
// there the gradients are those of the very output.
class ClippedRegion : public testing::Test {
 protected:
  // Compares the gradient of sum(g y) + decay p^2 for parameter p of a quantizer in evaluation.
  void expect_true_gradient(const QuantizerPtr& quantizer, const std::string& name, double decay) {
    quantizer->eval();
    torch::Tensor p = parameter(quantizer, name);
    const auto objective = [&](double value) {
      const torch::NoGradGuard no_grad;
      p.fill_(value);
      return (quantizer->forward(x_) * g_).sum().item<double>() + decay * value * value;
    };
    const double at = p.item<double>(), h = 1.0 / 64;
    const double expected = (objective(at + h) - objective(at - h)) / (2 * h);
    objective(at);
    (quantizer->forward(x_) * g_).sum().backward();
    EXPECT_NEAR(p.grad().item<double>(), expected, 1e-4) << name;
    quantizer->zero_grad();
  }

  const torch::Tensor x_ = torch::tensor({9.0F, -7.5F, 12.25F, 0.0F, 30.0F, -8.0F}).view({1, 6, 1});
  const torch::Tensor g_ = torch::tensor({0.5F, 1.25F, -2.0F, 0.75F, 1.0F, 0.25F}).view({1, 6, 1});
};

TEST_F(ClippedRegion, StepOfLsqHasATrueGradient) {
  for (const bool is_signed : {true, false}) {
    const Options options{{"GRADIENT_SCALE", "false"}};
    const QuantizerPtr quantizer = make("lsq", Role::kActivation, 4, is_signed, options);
    set(quantizer, {{"step", 0.25}});
    expect_true_gradient(quantizer, "step", 0);
  }
}

TEST_F(ClippedRegion, StepAndOffsetOfLsqPlusHaveTrueGradients) {
  const Options options{{"GRADIENT_SCALE", "false"}};
  const QuantizerPtr quantizer = make("lsq_plus", Role::kActivation, 4, true, options);
  set(quantizer, {{"step", 0.25}, {"offset", 3}});  // -8 .. 7 steps: 1 .. 4.75
  expect_true_gradient(quantizer, "step", 0);
  expect_true_gradient(quantizer, "offset", 0);
}

TEST_F(ClippedRegion, AlphaOfPactHasATrueGradientWithItsDecay) {
  for (const bool is_signed : {true, false}) {
    const Options options{{"DECAY", "0.01"}};
    const QuantizerPtr quantizer = make("pact", Role::kActivation, 4, is_signed, options);
    set(quantizer, {{"alpha", 4}});
    expect_true_gradient(quantizer, "alpha", 0.01);
  }
}

// The straight-through objective: y = s (clamp(v) + r) + o, where r = round(v) - v is taken at the
// starting point, as a constant. Its true derivatives are what a quantizer hands back.
struct Relaxed {
  std::vector<double> x, g;
  double n, p;

  double operator()(double s, double o, double s0, double o0) const {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double v0 = (x[i] - o0) / s0, c = std::nearbyint(v0);
      const double r = c >= n && c <= p ? c - v0 : 0;
      const double v = (x[i] - o) / s;
      const double clipped = c >= n && c <= p ? v : std::min(std::max(v, n), p);
      sum += g[i] * (s * (clipped + r) + o);
    }
    return sum;
  }
};

class RelaxedObjective : public testing::Test {
 protected:
  Relaxed relaxed(double n, double p) const {
    const auto list = [](const torch::Tensor& t) {
      const torch::Tensor d = t.to(torch::kDouble);
      return std::vector<double>(d.data_ptr<double>(), d.data_ptr<double>() + d.numel());
    };
    return {list(x_), list(g_), n, p};
  }

  void run(const QuantizerPtr& quantizer) {
    quantizer->eval();
    (quantizer->forward(x_) * g_).sum().backward();
  }

  // No element within half a step of -8 s or 7 s for the steps used here.
  const torch::Tensor x_ =
      torch::tensor({0.1F, -0.33F, 0.52F, 1.21F, -1.07F, 0.93F, 3.5F, -4.25F}).view({1, 8, 1, 1});
  const torch::Tensor g_ =
      torch::tensor({0.5F, 1.0F, -2.0F, 0.75F, 1.5F, -0.25F, 0.5F, 1.25F}).view({1, 8, 1, 1});
  static constexpr double kH = 1e-5;
};

TEST_F(RelaxedObjective, GivesTheStepGradientOfLsq) {
  const Options options{{"GRADIENT_SCALE", "false"}};
  const Relaxed f = relaxed(-8, 7);
  const double s = 0.25;
  for (const Role role : {Role::kWeight, Role::kActivation}) {
    const QuantizerPtr quantizer = make("lsq", role, 4, true, options);
    set(quantizer, {{"step", s}});
    run(quantizer);
    const double expected = (f(s + kH, 0, s, 0) - f(s - kH, 0, s, 0)) / (2 * kH);
    EXPECT_NEAR(parameter(quantizer, "step").grad().item<double>(), expected, 1e-5);
  }
}

TEST_F(RelaxedObjective, GivesStepAndOffsetGradientsOfLsqPlus) {
  const Options options{{"GRADIENT_SCALE", "false"}};
  const Relaxed f = relaxed(-8, 7);
  const double s = 0.25, o = 0.375;
  const QuantizerPtr quantizer = make("lsq_plus", Role::kActivation, 4, true, options);
  set(quantizer, {{"step", s}, {"offset", o}});
  run(quantizer);
  const double step = (f(s + kH, o, s, o) - f(s - kH, o, s, o)) / (2 * kH);
  const double offset = (f(s, o + kH, s, o) - f(s, o - kH, s, o)) / (2 * kH);
  EXPECT_NEAR(parameter(quantizer, "step").grad().item<double>(), step, 1e-5);
  EXPECT_NEAR(parameter(quantizer, "offset").grad().item<double>(), offset, 1e-5);
}

// The ceiling of log2_t is passed straight through too: s = 2^(log2_t + constant).
TEST_F(RelaxedObjective, GivesTheThresholdGradientOfTqt) {
  const Options options{{"GRADIENT_SCALE", "false"}};
  const Relaxed f = relaxed(-8, 7);
  const QuantizerPtr quantizer = make("tqt", Role::kActivation, 4, true, options);
  set(quantizer, {{"log2_t", 0.75}});
  run(quantizer);
  const double s = 0.25;  // 2^1 / 2^3
  const double up = s * std::exp2(kH), down = s * std::exp2(-kH);
  const double expected = (f(up, 0, s, 0) - f(down, 0, s, 0)) / (2 * kH);
  EXPECT_NEAR(parameter(quantizer, "log2_t").grad().item<double>(), expected, 1e-5);
}

}  // namespace
}  // namespace ssdq
