#include "ssdq/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/typed_numbers.h"

namespace ssdq {
namespace {

template <typename T>
std::vector<T> shifted_numbers(int64_t count, unsigned seed) {
  return numbers<T>(count, seed, 2, 0.5F);
}

struct Extent {
  int64_t n, width;
};

// Full vectors, several tiles, rows beyond what is summed in float, a short last row.
const std::vector<Extent> kExtents = {{16, 16},          {480, 48},           {5 * 64 * 3, 64},
                                      {70 * 1280, 1280}, {300 * 80 + 24, 80}, {24, 48},
                                      {7 * 272 + 5, 272}};

AffineRow a_code() {
  AffineRow code;
  code.gain = 3;
  code.step = 1.1F;
  code.offset = -0.2F;
  code.low = -4;
  code.high = 11;
  code.inside_low = -4;
  code.inside_high = 10.9F;
  code.out_step = 0.35F;
  return code;
}

constexpr float kSlope = 0.5F;

struct Example {
  std::vector<float> scale, shift, mean, slope, constant;
  AffineRow code = a_code();
  Columns columns;

  Example(Extent extent, float low, float high, bool has_code)
      : scale(shifted_numbers<float>(extent.width, 1)),
        shift(shifted_numbers<float>(extent.width, 2)),
        mean(shifted_numbers<float>(extent.width, 3)),
        slope(shifted_numbers<float>(extent.width, 4)),
        constant(shifted_numbers<float>(extent.width, 5)),
        columns{extent.n,
                extent.width,
                scale.data(),
                shift.data(),
                low,
                high,
                has_code ? &code : nullptr} {}
  Example(const Example&) = delete;
  Example& operator=(const Example&) = delete;

  float activated(float x, size_t column) const {
    return std::fmin(std::fmax(x * scale[column] + shift[column], columns.low), columns.high);
  }
  float position(float a) const { return (a - code.offset) * code.gain / code.step; }
  bool is_coded(float a) const {
    return columns.code == nullptr ||
           (code.inside_low <= position(a) && position(a) <= code.inside_high);
  }
  double passing(float x, float g, size_t column) const {
    const float v = x * scale[column] + shift[column];
    const bool inside = columns.low < v && v < columns.high && is_coded(activated(x, column));
    return inside ? static_cast<double>(g * (columns.code == nullptr ? 1 : kSlope)) : 0;
  }
};

template <typename Test>
void for_each_case(Test test) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Kernels* kernels : supported_kernels()) {
    for (const Extent extent : kExtents) {
      for (const auto& [low, high] : {std::pair{0.F, 6.F}, std::pair{-kInfinity, kInfinity}}) {
        SCOPED_TRACE(std::string(kernels->name) + " " + std::to_string(extent.n) + " of " +
                     std::to_string(extent.width));
        for (const bool has_code : {false, true}) {
          const Example example(extent, low, high, has_code);
          test(*kernels, example, float{});
          test(*kernels, example, uint16_t{});
        }
      }
    }
  }
}

TEST(ColumnKernels, SumMomentsAboutThePivotAndFindExtremes) {
  for_each_case([](const Kernels& kernels, const Example& e, auto type) {
    const auto x = shifted_numbers<decltype(type)>(e.columns.n, 6);
    const auto width = static_cast<size_t>(e.columns.width);
    std::vector<double> sum(width, 1), squares(width, 2), expected(width, 1), expected_sq(width, 2);
    std::vector<float> min(width, 1e9F), max(width, -1e9F), least = min, most = max;
    typed<decltype(type)>(kernels).column_moments(
        x.data(), e.columns.n, e.columns.width,
        {e.mean.data(), sum.data(), squares.data(), min.data(), max.data()});
    for (size_t i = 0; i < x.size(); ++i) {
      const double v = static_cast<double>(to_float(x[i])) - static_cast<double>(e.mean[i % width]);
      expected[i % width] += v;
      expected_sq[i % width] += v * v;
      least[i % width] = std::min(least[i % width], to_float(x[i]));
      most[i % width] = std::max(most[i % width], to_float(x[i]));
    }
    EXPECT_EQ(min, least);
    EXPECT_EQ(max, most);
    for (size_t i = 0; i < width; ++i) {
      ASSERT_NEAR(sum[i], expected[i], 1e-5 * expected_sq[i]) << "column " << i;
      ASSERT_NEAR(squares[i], expected_sq[i], 1e-5 * expected_sq[i]) << "column " << i;
    }
  });
}

TEST(ColumnKernels, ScaleShiftClampAndQuantize) {
  for_each_case([](const Kernels& kernels, const Example& e, auto type) {
    const auto x = shifted_numbers<decltype(type)>(e.columns.n, 6);
    auto y = x;
    typed<decltype(type)>(kernels).column_affine(x.data(), y.data(), e.columns);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % static_cast<size_t>(e.columns.width);
      const float a = e.activated(to_float(x[i]), c);
      const float clamped = std::fmin(std::fmax(e.position(a), e.code.low), e.code.high);
      const auto expected = from_float<decltype(type)>(
          e.columns.code == nullptr ? a
                                    : std::nearbyint(clamped) * e.code.out_step + e.code.offset);
      ASSERT_EQ(to_float(y[i]), to_float(expected)) << "number " << i;
    }
  });
}

TEST(ColumnKernels, SumTheGradientsThatPass) {
  for_each_case([](const Kernels& kernels, const Example& e, auto type) {
    const auto x = shifted_numbers<decltype(type)>(e.columns.n, 6),
               g = shifted_numbers<decltype(type)>(e.columns.n, 7);
    const auto width = static_cast<size_t>(e.columns.width);
    std::vector<double> sum(width), product(width), expected(width), expected_product(width),
        magnitude(width, 1e-3);
    typed<decltype(type)>(kernels).column_gradient_sums(x.data(), g.data(), e.columns,
                                                        {e.mean.data(), sum.data(), product.data()},
                                                        CodeGradient::kNone, kSlope);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % width;
      const double up = e.passing(to_float(x[i]), to_float(g[i]), c);
      const double centred = static_cast<double>(to_float(x[i])) - static_cast<double>(e.mean[c]);
      expected[c] += up;
      expected_product[c] += up * centred;
      magnitude[c] += std::abs(up) + std::abs(up * centred);
    }
    for (size_t i = 0; i < width; ++i) {
      ASSERT_NEAR(sum[i], expected[i], 1e-5 * magnitude[i]) << "column " << i;
      ASSERT_NEAR(product[i], expected_product[i], 1e-5 * magnitude[i]) << "column " << i;
    }
  });
}

TEST(ColumnKernels, SumTheGradientsOfTheCode) {
  for_each_case([](const Kernels& kernels, const Example& e, auto type) {
    if (e.columns.code == nullptr) {
      return;
    }
    const auto x = shifted_numbers<decltype(type)>(e.columns.n, 6),
               g = shifted_numbers<decltype(type)>(e.columns.n, 7);
    const auto width = static_cast<size_t>(e.columns.width);
    double above = 0, below = 0, step = 0, offset = 0, magnitude = 1e-3;
    for (size_t i = 0; i < x.size(); ++i) {
      const float a = e.activated(to_float(x[i]), i % width), v = e.position(a);
      const float clamped = std::fmin(std::fmax(v, e.code.low), e.code.high);
      const double up = static_cast<double>(to_float(g[i]));
      const bool is_above = v > e.code.inside_high;
      above += is_above ? up : 0;
      below += !is_above && !e.is_coded(a) ? up : 0;
      const float slope = e.is_coded(a) ? std::nearbyint(clamped) - v : clamped;
      step += up * static_cast<double>(slope);
      offset += e.is_coded(a) ? 0 : up;
      magnitude += std::abs(up) * (1 + static_cast<double>(std::abs(slope)));
    }
    std::vector<double> sum(width), product(width);
    const auto sums = [&](CodeGradient rule) {
      return typed<decltype(type)>(kernels).column_gradient_sums(
          x.data(), g.data(), e.columns, {e.mean.data(), sum.data(), product.data()}, rule, kSlope);
    };
    const CodeSums clip = sums(CodeGradient::kClip), learned = sums(CodeGradient::kStep);
    EXPECT_NEAR(clip.first, above, 1e-5 * magnitude);
    EXPECT_NEAR(clip.second, below, 1e-5 * magnitude);
    EXPECT_NEAR(learned.first, step, 1e-5 * magnitude);
    EXPECT_NEAR(learned.second, offset, 1e-5 * magnitude);
  });
}

TEST(ColumnKernels, GiveTheGradientOfEachNumber) {
  for_each_case([](const Kernels& kernels, const Example& e, auto type) {
    const auto x = shifted_numbers<decltype(type)>(e.columns.n, 6),
               g = shifted_numbers<decltype(type)>(e.columns.n, 7);
    auto gx = x;
    typed<decltype(type)>(kernels).column_gradient(
        x.data(), g.data(), gx.data(), e.columns,
        {e.mean.data(), e.slope.data(), e.constant.data()}, kSlope);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % static_cast<size_t>(e.columns.width);
      const auto up = static_cast<float>(e.passing(to_float(x[i]), to_float(g[i]), c));
      const auto expected = from_float<decltype(type)>(
          up * e.scale[c] + ((to_float(x[i]) - e.mean[c]) * e.slope[c] + e.constant[c]));
      ASSERT_EQ(to_float(gx[i]), to_float(expected)) << "number " << i;
    }
  });
}

TEST(ColumnKernels, KeepAndReportNan) {
  for (const Kernels* kernels : supported_kernels()) {
    const std::vector<float> x(16, std::numeric_limits<float>::quiet_NaN()), one(16, 1);
    std::vector<float> y(16);
    EXPECT_FALSE(kernels->f32.column_affine(x.data(), y.data(),
                                            {16, 16, one.data(), one.data(), 0, 6, nullptr}));
    EXPECT_TRUE(std::isnan(y[3])) << kernels->name;
  }
}

}  // namespace
}  // namespace ssdq
