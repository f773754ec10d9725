#include "ssdq/quantization/lqnet_quantizer.h"

#include <cmath>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/quantization/options.h"
#include "ssdq/quantization/range_quantizer.h"
#include "ssdq/quantization/rank_statistics.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr double kNewest = 0.1;  // weight of the newest solution in the basis

class LqNet : public QuantizationMethod {
 public:
  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    return make(spec, "weights", true);
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    return make(spec, "activations", false);
  }

 private:
  static QuantizerPtr make(const TensorSpec& spec, const char* what, bool is_weight) {
    return is_quantized(spec, "lqnet", what, {1, 8})
               ? std::make_shared<LqNetQuantizerImpl>(spec, is_weight)
               : nullptr;
  }
};

// Every code of `bits` digits as a row; digit i of row k is bit i of k, as {low, 1}.
torch::Tensor all_codes(int bits, double low) {
  const int64_t count = int64_t{1} << bits;
  torch::Tensor codes = torch::empty({count, bits});
  auto rows = codes.accessor<float, 2>();
  for (int64_t k = 0; k < count; ++k) {
    for (int i = 0; i < bits; ++i) {
      rows[k][i] = static_cast<float>((k >> i & 1) != 0 ? 1 : low);
    }
  }
  return codes;
}

// Solves a x = b for a symmetric positive definite a of n x n; false if it is singular.
bool solve(std::vector<double> a, std::vector<double>& b) {
  const size_t n = b.size();
  double largest = 0;
  for (size_t i = 0; i < n; ++i) {
    largest = std::max(largest, a[i * n + i]);
  }
  for (size_t i = 0; i < n; ++i) {
    const double pivot = a[i * n + i];
    if (pivot <= 1e-9 * largest) {
      return false;
    }
    for (size_t row = 0; row < n; ++row) {
      const double factor = row == i ? 0 : a[row * n + i] / pivot;
      for (size_t column = i; column < n; ++column) {
        a[row * n + column] -= factor * a[i * n + column];
      }
      b[row] -= factor * b[i];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    b[i] /= a[i * n + i];
  }
  return largest > 0;
}

}  // namespace

LqNetQuantizerImpl::LqNetQuantizerImpl(TensorSpec spec, bool is_weight)
    : RangedQuantizerImpl(std::move(spec)), is_weight_(is_weight) {
  basis_ = register_buffer(
      "basis", torch::zeros({is_weight ? this->spec().channels : 1, this->spec().bits}));
}

void LqNetQuantizerImpl::observe(const torch::Tensor& x) {
  if (has_range()) {
    return;
  }
  const TensorMoments found = is_weight_ ? moments(x, true) : batch_moments(x, false);
  const torch::Tensor rms = found.rms.reshape({-1, 1});
  const int bits = spec().bits;
  const double scale = 0.6745 * (spec().is_signed ? 1 : 2) / std::exp2(bits - 1);
  basis_.copy_(torch::where(rms > 0, rms, torch::ones_like(rms)) * scale *
               torch::exp2(torch::arange(bits, basis_.options())));
  count_observation();
}

LqNetQuantizerImpl::Levels LqNetQuantizerImpl::levels() const {
  const torch::Tensor codes = all_codes(spec().bits, spec().is_signed ? -1 : 0).to(basis_.device());
  // No matmul, which autocast would round to bfloat16.
  const auto [values, order] = (basis_.unsqueeze(1) * codes).sum(2).sort(1);
  return {values, codes.index({order})};
}

torch::Tensor LqNetQuantizerImpl::quantize(const torch::Tensor& x) {
  require_range();
  const Levels levels = this->levels();
  const bool learns = is_training() && mode().observe;
  LevelStatistics statistics;
  torch::Tensor y =
      fake_quantize_levels(x, levels.values, !is_weight_, learns ? &statistics : nullptr);
  if (learns) {
    const torch::NoGradGuard no_grad;
    if (const auto reducer = range_statistics(); reducer && !is_weight_) {
      const torch::Tensor both = torch::stack({statistics.hits, statistics.sums});
      reducer->sum(both);
      statistics = {both[0], both[1]};
    }
    fit(levels, statistics);
  }
  return y;
}

void LqNetQuantizerImpl::fit(const Levels& levels, const LevelStatistics& statistics) {
  const torch::Tensor codes = levels.codes.to(torch::kCPU, torch::kDouble);
  const torch::Tensor hits = statistics.hits.cpu(), sums = statistics.sums.cpu();
  // [C, b, b] and [C, b]
  const torch::Tensor squares =
      codes.transpose(1, 2).matmul(codes * hits.unsqueeze(2)).contiguous();
  const torch::Tensor right = (codes * sums.unsqueeze(2)).sum(1).contiguous();
  torch::Tensor basis = basis_.cpu().contiguous();
  const auto bits = static_cast<size_t>(spec().bits);
  for (int64_t row = 0; row < basis.size(0); ++row) {
    const double* a = squares[row].data_ptr<double>();
    const double* b = right[row].data_ptr<double>();
    std::vector<double> solution(b, b + bits);
    if (solve(std::vector<double>(a, a + bits * bits), solution)) {
      float* v = basis[row].data_ptr<float>();
      for (size_t i = 0; i < bits; ++i) {
        v[i] =
            static_cast<float>((1 - kNewest) * static_cast<double>(v[i]) + kNewest * solution[i]);
      }
    }
  }
  basis_.copy_(basis);
}

void LqNetQuantizerImpl::convert(int from, int to) {
  fail_config("{}: lqnet cannot change its width from {} to {} bits; start from float weights",
              spec().node, from, to);
}

QuantizerReport LqNetQuantizerImpl::report() const {
  QuantizerReport report{spec().bits, granularity_text(is_weight_, "learned levels"), ""};
  if (has_range()) {
    const torch::Tensor values = levels().values;
    report.range =
        fmt::format("[{:.4g}, {:.4g}]", values.min().item<double>(), values.max().item<double>());
  }
  return report;
}

std::shared_ptr<QuantizationMethod> make_lqnet(const QuantizationConfig& config) {
  OptionReader("lqnet", config.options).finish();
  return std::make_shared<LqNet>();
}

}  // namespace ssdq
