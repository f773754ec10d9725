#include "ssdq/quantization/dorefa_quantizer.h"

#include <cmath>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/quantization/dorefa_kernels.h"
#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/options.h"
#include "ssdq/quantization/rows.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct WeightFunction : torch::autograd::Function<WeightFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& w, int64_t levels) {
    const TensorMoments found = moments(w, false);
    torch::Tensor t = torch::tanh(widened(w));
    torch::Tensor m = torch::maximum(-found.min, found.max).to(t.scalar_type()).tanh_();
    m = torch::where(m > 1e-30, m, torch::ones_like(m));
    context->save_for_backward({w, m});
    const bool dense = t.is_non_overlapping_and_dense() && t.device().is_cpu();
    if (dense && t.scalar_type() == torch::kFloat) {
      dorefa_quantize_weights(t.data_ptr<float>(), m.item<float>(), static_cast<float>(levels),
                              t.data_ptr<float>(), t.numel());
      return t.to(w.scalar_type());
    }
    const double half = static_cast<double>(levels) / 2;
    return t.mul_(half / m).add_(half).round_().mul_(1 / half).sub_(1).to(w.scalar_type());
  }

  // With y = t / m: dy_i/dt_i = 1/m, and the first place of the maximum, which sets m, gets
  // -sign(t) sum_i g_i t_i / m^2 more.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &w = saved[0], &m = saved[1];
    const torch::Tensor g = widened(gradients[0]), t = torch::tanh(widened(w));
    torch::Tensor gw = at::tanh_backward(g, t).div_(m).contiguous();
    const torch::Tensor place = w.abs().argmax().view(1);
    const torch::Tensor peak = t.flatten().index_select(0, place);
    const torch::Tensor through_max =
        (g * t).sum() * peak.sign() * (1 - peak.square()) / m.square();
    gw.view(-1).index_add_(0, place, through_max.neg().to(gw.scalar_type()));
    return {gw.to(w.scalar_type()), torch::Tensor()};
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
