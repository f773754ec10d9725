#include "ssdq/engine/device.h"

#include <algorithm>

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>

#include "ssdq/utils/error.h"

namespace ssdq {

torch::Device resolve_device(const std::string& name) {
  if (name == "auto") {
    return torch::cuda::is_available() ? torch::kCUDA : torch::kCPU;
  }
  torch::Device device(torch::kCPU);
  try {
    device = torch::Device(name);
  } catch (const c10::Error&) {
    fail_config("MODEL.DEVICE: '{}' is no device; expected auto, cpu, cuda or cuda:N", name);
  }
  SSDQ_CHECK_CONFIG(device.is_cpu() || device.is_cuda(),
                    "MODEL.DEVICE: '{}' is not supported; expected auto, cpu, cuda or cuda:N",
                    name);
  if (device.is_cuda()) {
    const auto count =
        torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
    SSDQ_CHECK_CONFIG(
        count > 0,
        "MODEL.DEVICE: '{}' was asked for, but this LibTorch sees no GPU; add the override "
        "`MODEL.DEVICE cpu` (or auto)",
        name);
    SSDQ_CHECK_CONFIG(!device.has_index() || device.index() < count,
                      "MODEL.DEVICE: '{}' was asked for, but there are {} GPUs, counted from 0",
                      name, count);
  }
  return device;
}

void use_device(torch::Device device) {
  if (device.is_cuda()) {
    at::globalContext().setAllowTF32CuDNN(false);
    if (device.has_index()) {
      c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
    }
  }
}

ThreadPlan plan_threads(int num_threads, int num_workers, int cores, bool cuda) {
  cores = std::max(1, cores);
  ThreadPlan plan;
  if (cuda) {
    plan.data = std::min(num_workers, std::max(1, cores - 1));
    plan.compute = num_threads > 0 ? num_threads : std::max(1, cores - plan.data);
  } else {
    plan.compute = std::min(num_threads > 0 ? num_threads : cores, cores);
    plan.data = std::min(num_workers, cores - plan.compute);
  }
  return plan;
}

}  // namespace ssdq
