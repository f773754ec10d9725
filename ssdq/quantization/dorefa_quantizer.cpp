#include "ssdq/quantization/dorefa_quantizer.h"

#include <cmath>
#include <numeric>
#include <type_traits>
#include <vector>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/quantization/bit_mask.h"
#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/options.h"
#include "ssdq/quantization/rows.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The first place in memory of a number of this magnitude.
template <typename T>
int64_t first_place(const T* values, int64_t count, float magnitude) {
  int64_t place = 0;
  while (place + 1 < count && std::abs(static_cast<float>(values[place])) != magnitude) {
    ++place;
  }
  return place;
}

// The gradient at the first place of magnitude `peak`, which sets m = tanh(peak) too: `product` is
// the sum of g tanh(w).
template <typename T>
void set_gradient_at_peak(const torch::Tensor& w, const torch::Tensor& g, float peak,
                          double product, const torch::Tensor& gw) {
  const int64_t place = first_place(w.data_ptr<T>(), w.numel(), peak);
  const double m = std::tanh(static_cast<double>(peak));
  const double sign = static_cast<float>(w.data_ptr<T>()[place]) < 0 ? -1 : 1;
  const auto up = static_cast<double>(static_cast<float>(g.data_ptr<T>()[place]));
  if (m > 1e-30) {
    const double gradient = (up - sign * product / m) * (1 - m * m) / m;
    gw.data_ptr<T>()[place] = static_cast<T>(static_cast<float>(gradient));
  }
}

struct WeightFunction : torch::autograd::Function<WeightFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& weight,
                               int64_t levels) {
    const TensorMoments found = moments(weight, false);
    const torch::Tensor peak = torch::maximum(-found.min, found.max);
    const torch::Tensor w = is_fused(weight) ? dense(weight, {1, weight.numel()}) : weight;
    context->save_for_backward({w, peak});
    if (!is_fused(w)) {
      const torch::Tensor t = torch::tanh(widened(w));
      const double half = static_cast<double>(levels) / 2;
      return (t * (half / normalizer(peak, t)))
          .add_(half)
          .round_()
          .mul_(1 / half)
          .sub_(1)
          .to(w.scalar_type());
    }
    torch::Tensor y = torch::empty_like(w);
    with_type(w, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      for_chunks({1, w.numel()}, [&](int64_t, int64_t first, int64_t count, int64_t) {
        kernel.tanh_code(data<T>(w) + first, data<T>(y) + first, count, peak.item<float>(),
                         static_cast<float>(levels));
      });
    });
    return y;
  }

  static torch::Tensor normalizer(const torch::Tensor& peak, const torch::Tensor& t) {
    const torch::Tensor m = peak.to(t.scalar_type()).tanh();
    return torch::where(m > 1e-30, m, torch::ones_like(m));
  }

  // With y = t / m: dy_i/dt_i = 1/m, and the first place of the maximum, which sets m, gets
  // -sign(t) sum_i g_i t_i / m^2 more.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &w = saved[0], &peak = saved[1];
    return {is_fused(w) ? fused(w, peak.item<float>(), like(gradients[0], w.sizes(), w.strides()))
                        : generic(w, peak, gradients[0]),
            torch::Tensor()};
  }

  static torch::Tensor fused(const torch::Tensor& w, float peak, const torch::Tensor& g) {
    torch::Tensor gw = torch::empty_like(w);
    const Rows rows{1, w.numel()};
    std::vector<double> products(static_cast<size_t>(rows.chunks()));
    with_type(w, [&](const auto& kernel, auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      for_chunks(rows, [&](int64_t, int64_t first, int64_t count, int64_t chunk) {
        products[static_cast<size_t>(chunk)] = kernel.tanh_gradient(
            data<T>(w) + first, data<T>(g) + first, data<T>(gw) + first, count, peak);
      });
    });
    const double product = std::accumulate(products.begin(), products.end(), 0.0);
    w.scalar_type() == torch::kFloat ? set_gradient_at_peak<float>(w, g, peak, product, gw)
                                     : set_gradient_at_peak<c10::BFloat16>(w, g, peak, product, gw);
    return gw;
  }

  static torch::Tensor generic(const torch::Tensor& w, const torch::Tensor& peak,
                               const torch::Tensor& up) {
    const torch::Tensor g = widened(up), t = torch::tanh(widened(w)), m = normalizer(peak, t);
    torch::Tensor gw = at::tanh_backward(g, t).div_(m).contiguous();
    const torch::Tensor place = w.abs().argmax().view(1);
    const torch::Tensor at_peak = t.flatten().index_select(0, place);
    const torch::Tensor through_max =
        (g * t).sum() * at_peak.sign() * (1 - at_peak.square()) / m.square();
    gw.view(-1).index_add_(0, place, through_max.neg().to(gw.scalar_type()));
    return gw.to(w.scalar_type());
  }
};

class DoReFa : public QuantizationMethod {
 public:
  explicit DoReFa(const DoReFaActivationOptions& activation) : activation_(activation) {}

  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    return is_quantized(spec, "dorefa", "weights", {2, 16})
               ? std::make_shared<DoReFaWeightQuantizerImpl>(spec)
               : nullptr;
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    return is_quantized(spec, "dorefa", "activations", {2, 16})
               ? std::make_shared<DoReFaActivationQuantizerImpl>(spec, activation_)
               : nullptr;
  }

 private:
  DoReFaActivationOptions activation_;
};

}  // namespace

torch::Tensor DoReFaWeightQuantizerImpl::quantize(const torch::Tensor& w) {
  return WeightFunction::apply(w, int64_t{(1 << spec().bits) - 1});
}

// (2 i - n) / n = c 2 / n + 1 / n with c = i - 2^(k-1).
std::optional<AffineCode> DoReFaWeightQuantizerImpl::value_code(const torch::Tensor& /*w*/) const {
  const auto number = [](double value) { return torch::full({}, value, torch::kDouble); };
  const double half = std::exp2(spec().bits - 1), levels = 2 * half - 1;
  AffineCode code;
  code.step = number(2 / levels);
  code.offset = number(1 / levels);
  code.low = number(-half);
  code.high = number(half - 1);
  return code;
}

QuantizerReport DoReFaWeightQuantizerImpl::report() const {
  return {spec().bits, "per tensor, tanh", "[-1, 1]"};
}

std::optional<FakeQuantization> DoReFaActivationQuantizerImpl::affine(
    c10::IntArrayRef /*sizes*/) const {
  const double levels = std::exp2(spec().bits - (spec().is_signed ? 1 : 0)) - 1;
  const auto number = [](double value) { return torch::full({}, value, torch::kDouble); };
  FakeQuantization result;
  AffineCode& code = result.code;
  code.step = number(1 / options_.scale);
  code.gain = levels;
  code.low = number(spec().is_signed ? -levels : 0);
  code.high = number(levels);
  code.output_scale = options_.rescale_output ? 1 : options_.scale;
  result.slope = code.output_scale;
  return result;
}

torch::Tensor DoReFaActivationQuantizerImpl::quantize(const torch::Tensor& x) {
  return fake_quantize(x, *affine(x.sizes()));
}

QuantizerReport DoReFaActivationQuantizerImpl::report() const {
  const double end = 1 / options_.scale;
  return {spec().bits, spec().is_signed ? "per tensor, signed" : "per tensor, unsigned",
          fmt::format("[{:.4g}, {:.4g}]", spec().is_signed ? -end : 0, end)};
}

std::shared_ptr<QuantizationMethod> make_dorefa(const QuantizationConfig& config) {
  OptionReader reader("dorefa", config.options);
  DoReFaActivationOptions activation;
  activation.scale = reader.number("ACTIVATION_SCALE", 0.1, 1e-6, 1e6);
  activation.rescale_output = reader.flag("RESCALE_OUTPUT", false);
  reader.finish();
  return std::make_shared<DoReFa>(activation);
}

}  // namespace ssdq
