#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>
#include <nlohmann/json.hpp>

#include "ssdq/layers/autocast.h"
#include "ssdq/quantization/build.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using nlohmann::json;

const std::string kGolden =
    std::string(SSDQ_SOURCE_DIR) + "/tests/quantization/golden/quantizers.json";

// The cases that tests/quantization/golden/make_quantizers.py wrote.
const json& golden() {
  static const json cases = [] {
    std::ifstream stream(kGolden);
    SSDQ_CHECK(stream.good(), "{}: cannot be read", kGolden);
    return json::parse(stream).at("cases");
  }();
  return cases;
}

std::vector<double> flat(const json& value) {
  return value.is_array() ? value.get<std::vector<double>>()
                          : std::vector<double>{value.get<double>()};
}

std::vector<double> flat(const torch::Tensor& x) {
  const torch::Tensor all = x.detach().to(torch::kDouble).contiguous().view(-1);
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

torch::Tensor tensor(const json& values, const torch::IntArrayRef shape) {
  return torch::tensor(flat(values), torch::kDouble).view(shape).to(torch::kFloat);
}

double largest(const std::vector<double>& values) {
  double size = 0;
  for (const double v : values) {
    size = std::max(size, std::abs(v));
  }
  return size;
}

// `slack`: what sums of float32 numbers may lose by cancellation, a bound for each element.
void expect_close(const torch::Tensor& actual, const json& expected, const std::string& what,
                  const json& slack = json()) {
  const std::vector<double> got = flat(actual), want = flat(expected);
  ASSERT_EQ(got.size(), want.size()) << what;
  const double tolerance = 1e-5 * largest(want) + 1e-6;
  for (size_t i = 0; i < want.size(); ++i) {
    const double extra = slack.is_null() ? 0.0 : slack.at(i).get<double>();
    EXPECT_NEAR(got[i], want[i], tolerance + extra) << what << " " << i;
  }
}

// A case run through the public interface, up to its last batch.
class GoldenRun {
 public:
  explicit GoldenRun(const json& golden_case) : case_(golden_case) {
    QuantizationConfig config;
    config.type = case_.at("method");
    config.options = case_.value("options", Options());
    QuantizerRegistry registry;
    register_quantizers(registry);
    const auto method = registry.create(config.type, config);
    const std::vector<int64_t> shape = case_.at("batches").at(0).at("shape");
    const bool is_weight = case_.at("role") == "weight";
    const TensorSpec spec{case_.at("bits"), case_.at("signed"), shape[is_weight ? 0 : 1], "conv7"};
    quantizer_ = is_weight ? method->weight_quantizer(spec) : method->activation_quantizer(spec);
    SSDQ_CHECK(quantizer_ != nullptr, "{} gives no quantizer", config.type);
    quantizer_->train(case_.value("training", true));
    set_state();
  }

  QuantizerImpl& quantizer() { return *quantizer_; }
  size_t batches() const { return case_.at("batches").size(); }

  torch::Tensor input(size_t batch) const {
    const json& entry = case_.at("batches").at(batch);
    const std::vector<int64_t> shape = entry.at("shape");
    return tensor(entry.at("x"), shape);
  }
  torch::Tensor upstream() const { return tensor(case_.at("g"), input(batches() - 1).sizes()); }

  torch::Tensor forward(size_t batch, const torch::Tensor& x) {
    const int warmup = case_.value("warmup", 0);
    quantizer_->set_mode({static_cast<int>(batch) >= warmup, true});
    return quantizer_->forward(x);
  }

  // Runs every batch but the last.
  void lead_up() {
    for (size_t batch = 0; batch + 1 < batches(); ++batch) {
      forward(batch, input(batch));
      expect_state(batch);
    }
  }

  void expect_state(size_t batch) const {
    if (!case_.contains("states_after")) {
      return;
    }
    for (const auto& [name, value] : case_.at("states_after").at(batch).items()) {
      expect_close(entry(name), value, name + " after batch " + std::to_string(batch));
    }
  }

  // The parameter or buffer of this name.
  torch::Tensor entry(const std::string& name) const {
    const auto parameters = quantizer_->named_parameters(), buffers = quantizer_->named_buffers();
    const torch::Tensor* found = parameters.find(name);
    found = found != nullptr ? found : buffers.find(name);
    SSDQ_CHECK(found != nullptr, "{} has no {}", case_.at("name").get<std::string>(), name);
    return *found;
  }

 private:
  void set_state() {
    if (!case_.contains("state")) {
      return;
    }
    const torch::NoGradGuard no_grad;
    for (const auto& [name, value] : case_.at("state").items()) {
      torch::Tensor target = entry(name);
      const torch::Tensor values = torch::tensor(flat(value), torch::kDouble);
      if (target.numel() != values.numel()) {
        target.set_data(torch::empty(values.sizes(), target.options()));
      }
      target.copy_(values.view_as(target));
    }
    if (quantizer_->named_buffers().contains("observed")) {
      entry("observed").fill_(1);
    }
  }

  const json& case_;
  QuantizerPtr quantizer_;
};

class GoldenQuantizer : public testing::TestWithParam<size_t> {
 protected:
  const json& golden_case() const { return golden().at(GetParam()); }
};

TEST_P(GoldenQuantizer, EqualsTheReferenceInOutputGradientsAndState) {
  const json& expected = golden_case();
  GoldenRun run(expected);
  run.lead_up();
  const size_t last = run.batches() - 1;
  const torch::Tensor x = run.input(last).set_requires_grad(true);
  const torch::Tensor y = run.forward(last, x);
  expect_close(y, expected.at("y"), "y");
  y.backward(run.upstream());
  ASSERT_TRUE(x.grad().defined());
  expect_close(x.grad(), expected.at("gx"), "gradient of x");
  if (expected.contains("parameter_gradients")) {
    for (const auto& [name, gradient] : expected.at("parameter_gradients").items()) {
      ASSERT_TRUE(run.entry(name).grad().defined()) << name;
      expect_close(run.entry(name).grad(), gradient, "gradient of " + name,
                   expected.at("parameter_slack").at(name));
    }
  }
  run.expect_state(last);
}

TEST_P(GoldenQuantizer, MapsMemoryFormatsAlike) {
  GoldenRun run(golden_case()), other(golden_case());
  const size_t last = run.batches() - 1;
  const torch::Tensor plain = run.input(last).set_requires_grad(true);
  const torch::Tensor channels_last =
      run.input(last).contiguous(torch::MemoryFormat::ChannelsLast).set_requires_grad(true);
  run.lead_up();
  other.lead_up();
  const torch::Tensor y = run.forward(last, plain), z = other.forward(last, channels_last);
  expect_close(z, flat(y), "y");
  y.backward(run.upstream());
  z.backward(run.upstream());
  expect_close(channels_last.grad(), flat(plain.grad()), "gradient of x");
}

// The golden inputs are bfloat16 numbers (but for those of 1e30, rounded here). Trained state and
// evaluation: both types see the same range.
TEST_P(GoldenQuantizer, Bf16IsTheFloatResultRounded) {
  GoldenRun run(golden_case());
  const size_t last = run.batches() - 1;
  const torch::Tensor narrow = run.input(last).to(torch::kBFloat16).set_requires_grad(true);
  const torch::Tensor wide = narrow.detach().to(torch::kFloat).set_requires_grad(true);
  run.lead_up();
  run.forward(last, wide);
  run.quantizer().eval();
  const torch::Tensor y16 = run.forward(last, narrow), y32 = run.forward(last, wide);
  ASSERT_EQ(y16.scalar_type(), torch::kBFloat16);
  const std::vector<double> got = flat(y16), want = flat(y32.to(torch::kBFloat16));
  const double floor = std::max(1e-6 * largest(want), 1e-30);
  for (size_t i = 0; i < want.size(); ++i) {
    const double ulp = std::ldexp(1.0, std::ilogb(std::max(std::abs(want[i]), floor)) - 7);
    EXPECT_NEAR(got[i], want[i], ulp) << "y " << i;
  }
  y16.backward(run.upstream().to(torch::kBFloat16));
  y32.backward(run.upstream());
  ASSERT_EQ(narrow.grad().scalar_type(), torch::kBFloat16);
  if (golden_case().at("role") == "activation") {  // a weight's gradient need not be a mask
    EXPECT_TRUE(torch::equal(narrow.grad() != 0, wide.grad() != 0)) << "mask of the gradient";
  }
  const double scale = largest(flat(wide.grad()));
  EXPECT_TRUE(torch::allclose(narrow.grad().to(torch::kFloat), wide.grad(), 0.01, 0.01 * scale));
}

TEST_P(GoldenQuantizer, EqualsTheCpu_CUDA) {
  if (!torch::cuda::is_available()) {
    GTEST_SKIP() << "no CUDA device";
  }
  GoldenRun here(golden_case()), there(golden_case());
  const size_t last = here.batches() - 1;
  here.lead_up();
  there.lead_up();
  there.quantizer().to(torch::kCUDA);
  const torch::Tensor x = here.input(last).set_requires_grad(true);
  const torch::Tensor moved = here.input(last).cuda().set_requires_grad(true);
  const torch::Tensor y = here.forward(last, x), z = there.forward(last, moved);
  expect_close(z.cpu(), flat(y), "y");
  y.backward(here.upstream());
  z.backward(here.upstream().cuda());
  expect_close(moved.grad().cpu(), flat(x.grad()), "gradient of x");
}

TEST_P(GoldenQuantizer, AutocastDoesNotReachIt) {
  GoldenRun run(golden_case());
  const size_t last = run.batches() - 1;
  const torch::Tensor x = run.input(last);
  run.lead_up();
  run.forward(last, x);
  run.quantizer().eval();
  const torch::Tensor y = run.forward(last, x);
  const Bf16Autocast autocast(torch::kCPU, /*enabled=*/true);
  EXPECT_TRUE(torch::equal(run.forward(last, x), y));
}

TEST_P(GoldenQuantizer, EvaluationRepeatsItselfAndMovesNothing) {
  GoldenRun run(golden_case());
  const size_t last = run.batches() - 1;
  const torch::Tensor x = run.input(last);
  run.lead_up();
  run.forward(last, x);
  run.quantizer().eval();
  std::map<std::string, torch::Tensor> before;
  for (const auto& item : run.quantizer().named_buffers()) {
    before[item.key()] = item.value().clone();
  }
  for (const auto& item : run.quantizer().named_parameters()) {
    before[item.key()] = item.value().detach().clone();
  }
  const torch::Tensor first = run.forward(last, x);
  run.forward(last, x * 3);
  EXPECT_TRUE(torch::equal(run.forward(last, x), first));
  for (const auto& [name, value] : before) {
    EXPECT_TRUE(torch::equal(run.entry(name).detach(), value)) << name;
  }
}

std::vector<size_t> indices() {
  std::vector<size_t> all(golden().size());
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = i;
  }
  return all;
}

std::string case_name(const testing::TestParamInfo<size_t>& info) {
  return golden().at(info.param).at("name");
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenQuantizer, testing::ValuesIn(indices()), case_name);

}  // namespace
}  // namespace ssdq
