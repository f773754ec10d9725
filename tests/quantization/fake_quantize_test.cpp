#include "ssdq/quantization/fake_quantize.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace ssdq {
namespace {

AffineCode by_channel(Edge edge) {
  AffineCode code;
  code.step = torch::tensor({0.1F, 0.25F, 0.4F, 0.03F});
  code.low = torch::full({4}, -7);
  code.high = torch::full({4}, 8);
  code.edge = edge;
  return code;
}

AffineCode of_tensor(Edge edge) {
  AffineCode code;
  code.step = torch::full({}, 0.23);
  code.low = torch::full({}, -7);
  code.high = torch::full({}, 8);
  code.edge = edge;
  return code;
}

// Double goes through LibTorch's operators, float through the kernels.
struct Pair {
  torch::Tensor fused, generic;
};

Pair inputs(c10::IntArrayRef shape, double spread, torch::MemoryFormat format) {
  torch::manual_seed(11);
  const torch::Tensor x = torch::randn(shape) * spread;
  return {x.clone().contiguous(format).set_requires_grad(true),
          x.to(torch::kDouble).set_requires_grad(true)};
}

void expect_near(const torch::Tensor& fused, const torch::Tensor& generic, const char* what) {
  EXPECT_TRUE(torch::allclose(fused.to(torch::kDouble), generic.to(torch::kDouble), 1e-4, 1e-5))
      << what << "\n"
      << (fused.to(torch::kDouble) - generic.to(torch::kDouble)).abs().max();
}

constexpr Edge kEdges[] = {Edge::kInclusive, Edge::kStrict, Edge::kHalfOpen, Edge::kRounded};
constexpr torch::MemoryFormat kFormats[] = {torch::MemoryFormat::Contiguous,
                                            torch::MemoryFormat::ChannelsLast};

TEST(FakeQuantize, KernelsAndOperatorsAgree) {
  for (const Edge edge : kEdges) {
    for (const auto format : kFormats) {
      for (const AffineCode& code : {by_channel(edge), of_tensor(edge)}) {
        const Pair x = inputs({4, 5, 3, 3}, 1.5, format);
        const torch::Tensor g = torch::randn({4, 5, 3, 3});
        const torch::Tensor y = fake_quantize(x.fused, code, 0.7);
        const torch::Tensor expected = fake_quantize(x.generic, code, 0.7);
        y.backward(g);
        expected.backward(g.to(torch::kDouble));
        expect_near(y, expected, "output");
        expect_near(x.fused.grad(), x.generic.grad(), "gradient");
        EXPECT_EQ(y.strides(), x.fused.strides());
      }
    }
  }
}

TEST(FakeQuantizeLearned, KernelsAndOperatorsAgree) {
  for (const Edge edge : kEdges) {
    for (const auto format : kFormats) {
      for (const AffineCode& base : {by_channel(edge), of_tensor(edge)}) {
        const Pair x = inputs({4, 5, 3, 3}, 1.5, format);
        const torch::Tensor g = torch::randn({4, 5, 3, 3});
        std::vector<torch::Tensor> gradients;
        for (const torch::Tensor& input : {x.fused, x.generic}) {
          AffineCode code = base;
          code.step = base.step.clone().set_requires_grad(true);
          code.offset = torch::full_like(base.step, 0.05).set_requires_grad(true);
          const torch::Tensor y = fake_quantize_learned(input, code, 0.3);
          y.backward(g.to(input.scalar_type()));
          gradients.insert(gradients.end(), {y, code.step.grad(), code.offset.grad()});
        }
        expect_near(gradients[0], gradients[3], "output");
        expect_near(gradients[1], gradients[4], "step");
        expect_near(gradients[2], gradients[5], "offset");
        expect_near(x.fused.grad(), x.generic.grad(), "input");
      }
    }
  }
}

TEST(FakeQuantizeClipped, KernelsAndOperatorsAgree) {
  const Pair x = inputs({2, 5, 7, 3}, 1.5, torch::MemoryFormat::ChannelsLast);
  const torch::Tensor g = torch::randn({2, 5, 7, 3});
  std::vector<torch::Tensor> found;
  for (const torch::Tensor& input : {x.fused, x.generic}) {
    const torch::Tensor alpha = torch::full({}, 1.84F).set_requires_grad(true);
    const torch::Tensor y = fake_quantize_clipped(input, alpha, of_tensor(Edge::kStrict), 0.01);
    y.backward(g.to(input.scalar_type()));
    found.insert(found.end(), {y, alpha.grad()});
  }
  expect_near(found[0], found[2], "output");
  expect_near(found[1], found[3], "alpha");
  expect_near(x.fused.grad(), x.generic.grad(), "input");
}

TEST(FakeQuantizeSign, KernelsAndOperatorsAgree) {
  for (const bool clipped : {false, true}) {
    const Pair x = inputs({3, 5, 3, 3}, 1, torch::MemoryFormat::Contiguous);
    const torch::Tensor magnitude = torch::tensor({0.5F, 1.5F, 2.5F});
    const torch::Tensor threshold = torch::tensor({-1.0F, 0.4F, 0.9F});
    const torch::Tensor g = torch::randn({3, 5, 3, 3});
    const torch::Tensor y = fake_quantize_sign(x.fused, magnitude, threshold, clipped);
    const torch::Tensor expected = fake_quantize_sign(x.generic, magnitude, threshold, clipped);
    y.backward(g);
    expected.backward(g.to(torch::kDouble));
    expect_near(y, expected, "output");
    expect_near(x.fused.grad(), x.generic.grad(), "gradient");
  }
}

TEST(FakeQuantizeLevels, KernelsAndOperatorsAgree) {
  for (const bool clipped : {false, true}) {
    const Pair x = inputs({2, 5, 40, 3}, 1, torch::MemoryFormat::Contiguous);
    const torch::Tensor levels = std::get<0>(torch::randn({2, 8}).sort(1));
    const torch::Tensor g = torch::randn({2, 5, 40, 3});
    LevelStatistics fused, generic;
    const torch::Tensor y = fake_quantize_levels(x.fused, levels, clipped, &fused);
    const torch::Tensor expected = fake_quantize_levels(x.generic, levels, clipped, &generic);
    y.backward(g);
    expected.backward(g.to(torch::kDouble));
    expect_near(y, expected, "output");
    expect_near(x.fused.grad(), x.generic.grad(), "gradient");
    EXPECT_TRUE(torch::equal(fused.hits, generic.hits));
    expect_near(fused.sums, generic.sums, "sums");
  }
}

TEST(TensorMoments, KernelsAndOperatorsAgree) {
  for (const bool by_row : {false, true}) {
    for (const auto format : kFormats) {
      const Pair x = inputs({3, 5, 6, 7}, 2, format);
      const torch::Tensor fused_input = x.fused.detach(), generic_input = x.generic.detach();
      const TensorMoments fused = moments(fused_input, by_row);
      const TensorMoments generic = moments(generic_input, by_row);
      EXPECT_EQ(fused.min.dim(), by_row ? 1 : 0);
      expect_near(fused.min, generic.min, "min");
      expect_near(fused.max, generic.max, "max");
      expect_near(fused.mean, generic.mean, "mean");
      expect_near(fused.mean_abs, generic.mean_abs, "mean_abs");
      expect_near(fused.rms, generic.rms, "rms");
      expect_near(fused.deviation, generic.deviation, "deviation");
      const torch::Tensor threshold = 0.7 * fused.mean_abs;
      expect_near(mean_above(fused_input, threshold), mean_above(generic_input, threshold),
                  "above");
    }
  }
}

// Sums run over chunks of fixed size, so threads change nothing.
TEST(FakeQuantizeLearned, DoesNotDependOnTheNumberOfThreads) {
  const int threads = torch::get_num_threads();
  torch::manual_seed(12);
  const torch::Tensor x = torch::randn({2, 16, 97, 101}), g = torch::randn_like(x);
  std::vector<torch::Tensor> steps;
  for (const int count : {1, 2, 3}) {
    torch::set_num_threads(count);
    AffineCode code = of_tensor(Edge::kStrict);
    code.step = code.step.clone().set_requires_grad(true);
    fake_quantize_learned(x, code, 1).backward(g);
    steps.push_back(code.step.grad());
  }
  torch::set_num_threads(threads);
  EXPECT_TRUE(torch::equal(steps[0], steps[1]));
  EXPECT_TRUE(torch::equal(steps[0], steps[2]));
}

TEST(FakeQuantize, TakesInputsThatAreNotDense) {
  torch::manual_seed(13);
  const torch::Tensor base = torch::randn({4, 6, 5, 5});
  const torch::Tensor part = base.narrow(1, 1, 3);
  const AffineCode code = by_channel(Edge::kInclusive);
  EXPECT_TRUE(torch::equal(fake_quantize(part, code), fake_quantize(part.contiguous(), code)));
  // Dimension 0 is not the outermost in memory.
  const torch::Tensor turned = base.narrow(1, 0, 4).transpose(0, 1);
  EXPECT_TRUE(torch::equal(fake_quantize(turned, code), fake_quantize(turned.contiguous(), code)));
}

}  // namespace
}  // namespace ssdq
