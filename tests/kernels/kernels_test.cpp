#include "ssdq/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/typed_numbers.h"

namespace ssdq {
namespace {

// Lengths around the vector lengths, and over the block in which sums stay in float.
const std::vector<int64_t> kLengths = {1, 7, 8, 15, 16, 17, 31, 33, 100, 1500};

std::vector<uint8_t> mask(int64_t count) { return std::vector<uint8_t>((count + 15) / 16 * 2); }

bool bit(const std::vector<uint8_t>& mask, int64_t i) { return (mask[i / 8] >> i % 8 & 1) != 0; }

AffineRow example() {
  AffineRow row;
  row.step = 0.37F;
  row.offset = 0.11F;
  row.low = -5;
  row.high = 6;
  row.inside_low = -5;
  row.inside_high = 6;
  row.out_step = 0.5F;
  return row;
}

TEST(Kernels, AreEachCompiledForTheirInstructionSet) {
  std::vector<std::string> expected;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) {
    expected.emplace_back("avx512");
  }
  if (__builtin_cpu_supports("avx2") != 0) {
    expected.emplace_back("avx2");
  }
#endif
  expected.emplace_back("portable");
  std::vector<std::string> found;
  for (const Kernels* set : supported_kernels()) {
    found.emplace_back(set->name);
  }
  EXPECT_EQ(found, expected);
}

template <typename T>
class EachKernel : public testing::Test {};
using Types = testing::Types<float, uint16_t>;
TYPED_TEST_SUITE(EachKernel, Types);

TYPED_TEST(EachKernel, AffineEqualsTheFormula) {
  const AffineRow row = example();
  for (const Kernels* set : supported_kernels()) {
    for (const int64_t n : kLengths) {
      const auto x = numbers<TypeParam>(n, 1);
      std::vector<TypeParam> y(n);
      auto inside = mask(n), above = mask(n);
      EXPECT_TRUE(
          typed<TypeParam>(*set).affine(x.data(), y.data(), inside.data(), above.data(), n, row));
      for (int64_t i = 0; i < n; ++i) {
        const float v = (to_float(x[i]) - row.offset) / row.step;
        const float q = std::nearbyint(std::min(std::max(v, row.low), row.high));
        EXPECT_EQ(y[i], from_float<TypeParam>(q * row.out_step + row.offset)) << set->name;
        EXPECT_EQ(bit(inside, i), v >= row.low && v <= row.high) << set->name;
        EXPECT_EQ(bit(above, i), v > row.high) << set->name;
      }
    }
  }
}

TYPED_TEST(EachKernel, AffineRoundsHalvesToEven) {
  AffineRow row;
  row.low = row.inside_low = -8;
  row.high = row.inside_high = 7;
  std::vector<TypeParam> x, expected;
  for (int k = -8; k < 7; ++k) {
    x.push_back(from_float<TypeParam>(static_cast<float>(k) + 0.5F));
    expected.push_back(from_float<TypeParam>(static_cast<float>(k % 2 == 0 ? k : k + 1)));
  }
  for (const Kernels* set : supported_kernels()) {
    std::vector<TypeParam> y(x.size());
    typed<TypeParam>(*set).affine(x.data(), y.data(), nullptr, nullptr,
                                  static_cast<int64_t>(x.size()), row);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(to_float(y[i]), to_float(expected[i])) << set->name << " " << to_float(x[i]);
    }
  }
}

TYPED_TEST(EachKernel, ReportsInfinitiesAndNanAnywhere) {
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(), std::nanf("")}) {
    for (const Kernels* set : supported_kernels()) {
      for (const int64_t n : {1, 9, 40}) {
        for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
          auto x = numbers<TypeParam>(n, 2);
          x[at] = from_float<TypeParam>(bad);
          std::vector<TypeParam> y(n);
          const auto& kernel = typed<TypeParam>(*set);
          EXPECT_FALSE(kernel.affine(x.data(), y.data(), nullptr, nullptr, n, example()));
          EXPECT_FALSE(kernel.sign(x.data(), y.data(), nullptr, n, 1, -1));
          EXPECT_FALSE(kernel.moments(x.data(), n).finite);
        }
      }
    }
  }
}

TYPED_TEST(EachKernel, ClampKeepsNanAndMarksTheInside) {
  for (const Kernels* set : supported_kernels()) {
    for (const int64_t n : kLengths) {
      auto x = numbers<TypeParam>(n, 9);
      x[n / 2] = from_float<TypeParam>(std::nanf(""));
      std::vector<TypeParam> y(n);
      auto inside = mask(n);
      typed<TypeParam>(*set).clamp(x.data(), y.data(), inside.data(), n, 0, 2);
      for (int64_t i = 0; i < n; ++i) {
        const float v = to_float(x[i]);
        if (i == n / 2) {
          EXPECT_TRUE(std::isnan(to_float(y[i]))) << set->name;
        } else {
          EXPECT_EQ(to_float(y[i]), std::min(std::max(v, 0.0F), 2.0F)) << set->name;
        }
        EXPECT_EQ(bit(inside, i), v > 0 && v < 2) << set->name;
      }
    }
  }
}

TYPED_TEST(EachKernel, MaskedGradientFollowsTheMasksAndSumsBesideThem) {
  for (const Kernels* set : supported_kernels()) {
    for (const int64_t n : kLengths) {
      const auto x = numbers<TypeParam>(n, 3), g = numbers<TypeParam>(n, 4);
      std::vector<TypeParam> y(n), gx(n);
      auto inside = mask(n), above = mask(n);
      const auto& kernel = typed<TypeParam>(*set);
      kernel.affine(x.data(), y.data(), inside.data(), above.data(), n, example());
      const OutsideSums sums =
          kernel.masked_gradient(g.data(), inside.data(), above.data(), gx.data(), n, 0.5F);
      double over = 0, under = 0;
      for (int64_t i = 0; i < n; ++i) {
        EXPECT_EQ(gx[i], bit(inside, i) ? from_float<TypeParam>(to_float(g[i]) * 0.5F)
                                        : from_float<TypeParam>(0));
        over += bit(above, i) ? static_cast<double>(to_float(g[i])) : 0;
        under += !bit(above, i) && !bit(inside, i) ? static_cast<double>(to_float(g[i])) : 0;
      }
      EXPECT_NEAR(sums.above, over, 1e-4) << set->name;
      EXPECT_NEAR(sums.below, under, 1e-4) << set->name;
    }
  }
}

TYPED_TEST(EachKernel, LearnedGradientEqualsTheFormula) {
  const AffineRow row = example();
  for (const Kernels* set : supported_kernels()) {
    for (const int64_t n : kLengths) {
      const auto x = numbers<TypeParam>(n, 5), g = numbers<TypeParam>(n, 6);
      std::vector<TypeParam> gx(n);
      const LearnedSums sums =
          typed<TypeParam>(*set).learned_gradient(x.data(), g.data(), gx.data(), n, row);
      double step = 0, offset = 0;
      for (int64_t i = 0; i < n; ++i) {
        const float v = (to_float(x[i]) - row.offset) / row.step;
        const bool in = v >= row.low && v <= row.high;
        const auto up = static_cast<double>(to_float(g[i]));
        const float limited = std::min(std::max(v, row.low), row.high);
        step += up * static_cast<double>(in ? std::nearbyint(v) - v : limited);
        offset += in ? 0 : up;
        EXPECT_EQ(gx[i], in ? g[i] : from_float<TypeParam>(0));
      }
      EXPECT_NEAR(sums.step, step, 1e-5 * static_cast<double>(n + 20)) << set->name;
      EXPECT_NEAR(sums.offset, offset, 1e-5 * static_cast<double>(n + 20)) << set->name;
    }
  }
}

TYPED_TEST(EachKernel, StatisticsEqualNaiveSums) {
  for (const Kernels* set : supported_kernels()) {
    for (const int64_t n : kLengths) {
      auto x = numbers<TypeParam>(n, 7);
      for (TypeParam& value : x) {
        value = from_float<TypeParam>(to_float(value) + 20);  // zeros beside the data would show
      }
      Moments naive;
      naive.min = std::numeric_limits<float>::infinity();
      naive.max = -naive.min;
      TernarySums over;
      for (const TypeParam value : x) {
        const float v = to_float(value);
        naive.min = std::min(naive.min, v);
        naive.max = std::max(naive.max, v);
        naive.sum += static_cast<double>(v);
        naive.sum_abs += static_cast<double>(std::abs(v));
        naive.sum_squares += static_cast<double>(v) * static_cast<double>(v);
        over.count += std::abs(v) > 21 ? 1 : 0;
        over.sum += std::abs(v) > 21 ? static_cast<double>(std::abs(v)) : 0;
      }
      const Moments found = typed<TypeParam>(*set).moments(x.data(), n);
      EXPECT_EQ(found.min, naive.min) << set->name;
      EXPECT_EQ(found.max, naive.max) << set->name;
      EXPECT_NEAR(found.sum, naive.sum, 1e-6 * naive.sum);
      EXPECT_NEAR(found.sum_abs, naive.sum_abs, 1e-6 * naive.sum_abs);
      EXPECT_NEAR(found.sum_squares, naive.sum_squares, 1e-6 * naive.sum_squares);
      const TernarySums ternary = typed<TypeParam>(*set).ternary_sums(x.data(), n, 21);
      EXPECT_EQ(ternary.count, over.count) << set->name;
      EXPECT_NEAR(ternary.sum, over.sum, 1e-6 * naive.sum_abs) << set->name;
    }
  }
}

TYPED_TEST(EachKernel, SignOfZeroIsPlusAndTheThresholdGivesZero) {
  const std::vector<float> given = {-2, -1, -0.5F, -0.0F, 0, 0.5F, 1, 2};
  std::vector<TypeParam> x;
  for (const float value : given) {
    x.push_back(from_float<TypeParam>(value));
  }
  const std::vector<float> binary = {-3, -3, -3, 3, 3, 3, 3, 3};
  const std::vector<float> ternary = {-3, -3, 0, 0, 0, 0, 3, 3};
  for (const Kernels* set : supported_kernels()) {
    const auto& kernel = typed<TypeParam>(*set);
    std::vector<TypeParam> y(8);
    auto inside = mask(8);
    kernel.sign(x.data(), y.data(), inside.data(), 8, 3, -1);
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(to_float(y[i]), binary[i]) << set->name << " " << given[i];
      EXPECT_EQ(bit(inside, static_cast<int64_t>(i)), std::abs(given[i]) < 1);
    }
    kernel.sign(x.data(), y.data(), nullptr, 8, 3, 0.5F);
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(to_float(y[i]), ternary[i]) << set->name << " " << given[i];
    }
  }
}

TYPED_TEST(EachKernel, NearestLevelIsTheNearestAndTheLowerOfTwo) {
  const std::vector<float> levels = {-4, -1, 0, 0.5F, 2, 2, 8, 16};
  std::vector<float> midpoints;
  for (size_t i = 1; i < levels.size(); ++i) {
    midpoints.push_back((levels[i - 1] + levels[i]) / 2);
  }
  for (const Kernels* set : supported_kernels()) {
    auto x = numbers<TypeParam>(500, 8, 8);
    x[0] = from_float<TypeParam>(-2.5F);
    x[1] = from_float<TypeParam>(1.25F);
    const auto n = static_cast<int64_t>(x.size());
    std::vector<TypeParam> y(x.size());
    std::vector<int64_t> hits(levels.size());
    std::vector<double> sums(levels.size());
    auto inside = mask(n);
    typed<TypeParam>(*set).nearest_level(
        x.data(), y.data(), inside.data(), n,
        {levels.data(), midpoints.data(), static_cast<int>(levels.size()), hits.data(),
         sums.data()});
    EXPECT_EQ(to_float(y[0]), -4);
    EXPECT_EQ(to_float(y[1]), 0.5F);
    double total = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float v = to_float(x[i]);
      float least = std::numeric_limits<float>::infinity();
      for (const float level : levels) {
        least = std::min(least, std::abs(v - level));
      }
      EXPECT_EQ(std::abs(v - to_float(y[i])), least) << set->name << " " << v;
      EXPECT_EQ(bit(inside, i), v >= -4 && v <= 16);
      total += static_cast<double>(v);
    }
    int64_t count = 0;
    double sum = 0;
    for (size_t k = 0; k < levels.size(); ++k) {
      count += hits[k];
      sum += sums[k];
    }
    EXPECT_EQ(count, n);
    EXPECT_NEAR(sum, total, 1e-9 * static_cast<double>(n));
  }
}

// Of every magnitude, on both sides of where the formula changes.
TYPED_TEST(EachKernel, TanhCodesAndGradientsEqualTheFormula) {
  for (const Kernels* set : supported_kernels()) {
    auto w = numbers<TypeParam>(3000, 11, 1);
    for (size_t i = 0; i < w.size(); ++i) {
      w[i] = from_float<TypeParam>(to_float(w[i]) * std::pow(10.F, static_cast<float>(i % 7) - 5));
    }
    const auto n = static_cast<int64_t>(w.size());
    const auto g = numbers<TypeParam>(n, 12, 1);
    float peak = 0;
    for (const TypeParam v : w) {
      peak = std::max(peak, std::abs(to_float(v)));
    }
    const double m = std::tanh(static_cast<double>(peak)), levels = 65535;
    std::vector<TypeParam> y(w.size()), gw(w.size());
    typed<TypeParam>(*set).tanh_code(w.data(), y.data(), n, peak, 65535);
    const double product =
        typed<TypeParam>(*set).tanh_gradient(w.data(), g.data(), gw.data(), n, peak);
    double expected_product = 0, magnitude = 0;
    const double rounding = std::is_same_v<TypeParam, float> ? 1e-6 : 1.0 / 256;
    for (int64_t i = 0; i < n; ++i) {
      const double t = std::tanh(static_cast<double>(to_float(w[i])));
      const double up = static_cast<double>(to_float(g[i]));
      EXPECT_NEAR(to_float(y[i]), t / m, 1.01 / levels + rounding * std::abs(t / m)) << set->name;
      EXPECT_NEAR(to_float(gw[i]), up * (1 - t * t) / m,
                  4e-7 * std::abs(up) + rounding * std::abs(up * (1 - t * t)))
          << set->name << " " << to_float(w[i]);
      expected_product += up * t;
      magnitude += std::abs(up * t);
    }
    EXPECT_NEAR(product, expected_product, 1e-6 * magnitude) << set->name;
  }
}

TYPED_TEST(EachKernel, TanhOfZerosIsZeroInTheMiddleOfTheCodes) {
  for (const Kernels* set : supported_kernels()) {
    const std::vector<TypeParam> w(20);
    std::vector<TypeParam> y(20);
    typed<TypeParam>(*set).tanh_code(w.data(), y.data(), 20, 0, 4);
    EXPECT_EQ(to_float(y[19]), 0) << set->name;
  }
}

}  // namespace
}  // namespace ssdq
