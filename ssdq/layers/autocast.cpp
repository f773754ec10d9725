#include "ssdq/layers/autocast.h"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

namespace ssdq {
namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
bool is_on(torch::Device device) { return at::autocast::is_autocast_enabled(device.type()); }
void turn(torch::Device device, bool on) { at::autocast::set_autocast_enabled(device.type(), on); }
torch::ScalarType type_of(torch::Device device) {
  return at::autocast::get_autocast_dtype(device.type());
}
void set_type(torch::Device device, torch::ScalarType type) {
  at::autocast::set_autocast_dtype(device.type(), type);
}
#else
bool is_on(torch::Device device) {
  return device.is_cuda() ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
}
void turn(torch::Device device, bool on) {
  device.is_cuda() ? at::autocast::set_enabled(on) : at::autocast::set_cpu_enabled(on);
}
torch::ScalarType type_of(torch::Device device) {
  return device.is_cuda() ? at::autocast::get_autocast_gpu_dtype()
                          : at::autocast::get_autocast_cpu_dtype();
}
void set_type(torch::Device device, torch::ScalarType type) {
  device.is_cuda() ? at::autocast::set_autocast_gpu_dtype(type)
                   : at::autocast::set_autocast_cpu_dtype(type);
}
#endif

}  // namespace

Bf16Autocast::Bf16Autocast(torch::Device device, bool enabled)
    : device_(device), enabled_(enabled) {
  if (!enabled_) {
    return;
  }
  was_enabled_ = is_on(device_);
  previous_type_ = type_of(device_);
  set_type(device_, torch::kBFloat16);
  turn(device_, true);
  at::autocast::increment_nesting();
}

Bf16Autocast::~Bf16Autocast() {
  if (!enabled_) {
    return;
  }
  if (at::autocast::decrement_nesting() == 0) {
    at::autocast::clear_cache();
  }
  turn(device_, was_enabled_);
  set_type(device_, previous_type_);
}

}  // namespace ssdq
