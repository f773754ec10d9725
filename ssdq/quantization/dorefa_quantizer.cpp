#include "ssdq/quantization/dorefa_quantizer.h"

#include <cmath>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/quantization/dorefa_kernels.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool has_kernel(const torch::Tensor& x, torch::ScalarType type) {
  return x.device().is_cpu() && x.scalar_type() == type && x.is_non_overlapping_and_dense();
}

torch::Tensor with_strides_of(const torch::Tensor& like, const torch::Tensor& x) {
  return x.strides() == like.strides() && x.scalar_type() == like.scalar_type()
             ? x
             : torch::empty_like(like).copy_(x);
}

// All numbers of a dense tensor in memory order, sharing storage.
torch::Tensor in_memory_order(const torch::Tensor& x) { return x.as_strided({x.numel()}, {1}); }

struct WeightFunction : torch::autograd::Function<WeightFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& w, int64_t levels) {
    const torch::Tensor t = torch::tanh(w);
    const torch::Tensor flat = in_memory_order(t);
    const torch::Tensor place = flat.abs().argmax().view(1);
    torch::Tensor m = flat.index_select(0, place).abs_();
    m = torch::where(m > 1e-30, m, torch::ones_like(m));
    context->save_for_backward({t, place, m});
    if (has_kernel(t, torch::kFloat)) {
      torch::Tensor q = torch::empty_like(t);
      dorefa_quantize_weights(t.data_ptr<float>(), m.item<float>(), static_cast<float>(levels),
                              q.data_ptr<float>(), t.numel());
      return q;
    }
    const double half = static_cast<double>(levels) / 2;
    return t.mul(half / m).add_(half).round_().mul_(1 / half).sub_(1);
  }

  // With y = t / m: dy_i/dt_i = 1/m, and t_place, which sets m, gets -sign(t) sum_i g_i t_i / m^2
  // more.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &t = saved[0], &place = saved[1], &m = saved[2];
    const torch::Tensor g = with_strides_of(t, gradients[0]);
    torch::Tensor gw = at::tanh_backward(g, t).div_(m);
    const torch::Tensor peak = in_memory_order(t).index_select(0, place);
    const torch::Tensor through_max =
        (g * t).sum() * peak.sign() * (1 - peak.square()) / m.square();
    in_memory_order(gw).index_add_(0, place, through_max.neg().to(gw.scalar_type()));
    return {gw, torch::Tensor()};
  }
};

struct ActivationFunction : torch::autograd::Function<ActivationFunction> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, double scale,
                               double low, double levels, double gain) {
    context->save_for_backward({x});
    context->saved_data["scale"] = scale;
    context->saved_data["low"] = low;
    context->saved_data["gain"] = gain;
    const DoReFaRange range = pack(scale, low, levels, gain);
    if (has_kernel(x, torch::kFloat)) {
      return quantize<float>(x, range);
    }
    if (has_kernel(x, torch::kBFloat16)) {
      return quantize<c10::BFloat16>(x, range);
    }
    const auto type = x.scalar_type();
    const bool narrow = type == torch::kBFloat16 || type == torch::kHalf;
    torch::Tensor y = x.to(narrow ? torch::kFloat : type).mul(scale);
    return y.clamp_(low, 1).mul_(levels).round_().mul_(gain / levels).to(type);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const torch::Tensor x = context->get_saved_variables()[0];
    const double scale = context->saved_data["scale"].toDouble();
    const double low = context->saved_data["low"].toDouble();
    const double gain = context->saved_data["gain"].toDouble();
    const torch::Tensor g = with_strides_of(x, gradients[0]);
    const DoReFaRange range = pack(scale, low, 1, gain);
    torch::Tensor gx;
    if (has_kernel(x, torch::kFloat)) {
      gx = gradient<float>(x, g, range);
    } else if (has_kernel(x, torch::kBFloat16)) {
      gx = gradient<c10::BFloat16>(x, g, range);
    } else {
      const torch::Tensor inside = (x >= low / scale).logical_and_(x <= 1 / scale);
      gx = (g * inside).mul_(scale * gain);
    }
    return {gx, torch::Tensor(), torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }

  template <typename T>
  static torch::Tensor quantize(const torch::Tensor& x, DoReFaRange range) {
    torch::Tensor q = torch::empty_like(x);
    dorefa_quantize_activations(x.data_ptr<T>(), range, q.data_ptr<T>(), x.numel());
    return q;
  }

  // `g` has the strides and type of `x`.
  template <typename T>
  static torch::Tensor gradient(const torch::Tensor& x, const torch::Tensor& g, DoReFaRange range) {
    torch::Tensor gx = torch::empty_like(x);
    dorefa_activation_gradient(x.data_ptr<T>(), g.data_ptr<T>(), range, gx.data_ptr<T>(),
                               x.numel());
    return gx;
  }

  static DoReFaRange pack(double scale, double low, double levels, double gain) {
    return {static_cast<float>(scale), static_cast<float>(low), static_cast<float>(levels),
            static_cast<float>(gain)};
  }
};

double positive_number(const std::string& key, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  SSDQ_CHECK_CONFIG(!text.empty() && *end == '\0' && std::isfinite(value) && value > 0,
                    "QUANTIZATION.OPTIONS.{} must be a number above 0, got '{}'", key, text);
  return value;
}

bool truth_value(const std::string& key, const std::string& text) {
  const std::string word = to_lower(text);
  SSDQ_CHECK_CONFIG(word == "true" || word == "false",
                    "QUANTIZATION.OPTIONS.{} must be true or false, got '{}'", key, text);
  return word == "true";
}

class DoReFa : public QuantizationMethod {
 public:
  explicit DoReFa(const Options& options) {
    for (const auto& [key, value] : options) {
      if (key == "ACTIVATION_SCALE") {
        activation_.scale = positive_number(key, value);
      } else if (key == "RESCALE_OUTPUT") {
        activation_.rescale_output = truth_value(key, value);
      } else {
        fail_config(
            "QUANTIZATION.OPTIONS: unknown key '{}' of dorefa (known: ACTIVATION_SCALE, "
            "RESCALE_OUTPUT)",
            key);
      }
    }
  }

  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    if (!check_width(spec, "weights")) {
      return nullptr;
    }
    return std::make_shared<DoReFaWeightQuantizerImpl>(spec);
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    if (!check_width(spec, "activations")) {
      return nullptr;
    }
    return std::make_shared<DoReFaActivationQuantizerImpl>(spec, activation_);
  }

 private:
  // False when the tensor stays as it is.
  static bool check_width(const TensorSpec& spec, const char* what) {
    const bool known = spec.bits == 32 || (spec.bits >= 2 && spec.bits <= 16);
    SSDQ_CHECK_CONFIG(known,
                      "{}: dorefa quantizes {} to 2..16 bits (32 leaves them as they are), got {}",
                      spec.node, what, spec.bits);
    return spec.bits != 32;
  }

  DoReFaActivationOptions activation_;
};

}  // namespace

torch::Tensor DoReFaWeightQuantizerImpl::quantize(const torch::Tensor& w) {
  return WeightFunction::apply(w, int64_t{(1 << spec().bits) - 1});
}

QuantizerReport DoReFaWeightQuantizerImpl::report() const {
  return {spec().bits, "per tensor, tanh", "[-1, 1]"};
}

torch::Tensor DoReFaActivationQuantizerImpl::quantize(const torch::Tensor& x) {
  const double low = spec().is_signed ? -1 : 0;
  const double levels = (1 << (spec().bits - (spec().is_signed ? 1 : 0))) - 1;
  const double gain = options_.rescale_output ? 1 / options_.scale : 1.0;
  return ActivationFunction::apply(x, options_.scale, low, levels, gain);
}

QuantizerReport DoReFaActivationQuantizerImpl::report() const {
  const double end = 1 / options_.scale;
  return {spec().bits, spec().is_signed ? "per tensor, signed" : "per tensor, unsigned",
          fmt::format("[{:.4g}, {:.4g}]", spec().is_signed ? -end : 0, end)};
}

std::shared_ptr<QuantizationMethod> make_dorefa(const QuantizationConfig& config) {
  return std::make_shared<DoReFa>(config.options);
}

}  // namespace ssdq
