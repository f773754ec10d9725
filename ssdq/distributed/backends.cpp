#include "ssdq/distributed/backends.h"

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "ssdq/distributed/sockets.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"

#if defined(USE_C10D_GLOO) && __has_include(<gloo/rendezvous/store.h>)
#define SSDQ_GLOO 1
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#if defined(USE_C10D_NCCL) && __has_include(<nccl.h>)
#define SSDQ_NCCL 1
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#if defined(USE_C10D_MPI) && __has_include(<mpi.h>)
#define SSDQ_MPI 1
#include <torch/csrc/distributed/c10d/ProcessGroupMPI.hpp>
#endif

namespace ssdq {
namespace {

#ifdef SSDQ_GLOO
constexpr bool kHasGloo = true;
#else
constexpr bool kHasGloo = false;
#endif
#ifdef SSDQ_NCCL
constexpr bool kHasNccl = true;
#else
constexpr bool kHasNccl = false;
#endif
#ifdef SSDQ_MPI
constexpr bool kHasMpi = true;
#else
constexpr bool kHasMpi = false;
#endif

#if defined(SSDQ_GLOO) || defined(SSDQ_NCCL)
std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}
#endif

#ifdef SSDQ_GLOO
// GLOO_SOCKET_IFNAME names interfaces, as it does for other users of Gloo. Else ranks of one
// machine talk over loopback, and ranks of several over the interface that leads to rank 0.
std::vector<std::shared_ptr<gloo::transport::Device>> gloo_devices(const World& world) {
  using Group = c10d::ProcessGroupGloo;
  std::vector<std::shared_ptr<gloo::transport::Device>> devices;
  if (const char* names = std::getenv("GLOO_SOCKET_IFNAME"); names != nullptr && *names != 0) {
    std::istringstream list(names);
    for (std::string name; std::getline(list, name, ',');) {
      devices.push_back(Group::createDeviceForInterface(name));
    }
    return devices;
  }
  const bool one_machine = world.local_size == world.size || names_loopback(world.host);
  devices.push_back(Group::createDeviceForHostname(one_machine ? std::string("127.0.0.1")
                                                               : address_towards(world.host)));
  return devices;
}

c10::intrusive_ptr<Backend> make_gloo(const World& world,
                                      const c10::intrusive_ptr<c10d::Store>& store,
                                      double timeout) {
  auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout));
  options->devices = gloo_devices(world);
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, world.rank, world.size, options);
}
#endif

#ifdef SSDQ_NCCL
c10::intrusive_ptr<Backend> make_nccl(const World& world,
                                      const c10::intrusive_ptr<c10d::Store>& store, double timeout,
                                      torch::Device device) {
  const int index = device.has_index() ? device.index() : world.local_rank;
  const int count = c10::cuda::device_count();
  SSDQ_CHECK(index < count, "GPU {} is wanted but this machine has {}; start fewer ranks here",
             index, count);
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
#if TORCH_VERSION_MAJOR < 2
  // Without it a rank waits for ever for one that died.
  setenv("NCCL_ASYNC_ERROR_HANDLING", "1", 0);
#endif
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = milliseconds(timeout);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, world.rank, world.size, options);
}
#endif

#ifdef SSDQ_MPI
c10::intrusive_ptr<Backend> make_mpi(const World& world) {
  auto group = c10d::ProcessGroupMPI::createProcessGroupMPI();
  SSDQ_CHECK(group && group->getRank() == world.rank && group->getSize() == world.size,
             "MPI does not agree on being rank {} of {}; start the ranks with mpirun", world.rank,
             world.size);
  return group;
}
#endif

}  // namespace

std::string choose_backend(const std::string& configured, torch::Device device) {
  std::string name = configured != "auto"           ? configured
                     : device.is_cuda() && kHasNccl ? "nccl"
                                                    : "gloo";
  if (device.is_cuda() && configured == "auto" && !kHasNccl) {
    log_warning("GPUs talk over Gloo, which is slow: SSDQ was built without NCCL's nccl.h");
  }
  const bool has = name == "nccl" ? kHasNccl : name == "mpi" ? kHasMpi : kHasGloo;
  SSDQ_CHECK_CONFIG(has, "DISTRIBUTED.BACKEND {}: this build of LibTorch does not have it{}", name,
                    name == "gloo" ? "" : "; use auto or gloo");
  SSDQ_CHECK_CONFIG(name != "nccl" || device.is_cuda(),
                    "DISTRIBUTED.BACKEND nccl connects GPUs, and MODEL.DEVICE is {}; use auto",
                    device.str());
  return name;
}

c10::intrusive_ptr<Backend> make_backend(
    const std::string& name, [[maybe_unused]] const World& world,
    [[maybe_unused]] const c10::intrusive_ptr<c10d::Store>& store, [[maybe_unused]] double timeout,
    [[maybe_unused]] torch::Device device) {
#ifdef SSDQ_NCCL
  if (name == "nccl") {
    return make_nccl(world, store, timeout, device);
  }
#endif
#ifdef SSDQ_MPI
  if (name == "mpi") {
    return make_mpi(world);
  }
#endif
#ifdef SSDQ_GLOO
  if (name == "gloo") {
    return make_gloo(world, store, timeout);
  }
#endif
  fail_config("DISTRIBUTED.BACKEND {}: this build of LibTorch does not have it", name);
}

// Other groups, and NCCL's before LibTorch 2.6, end with their destructors.
void close_backend([[maybe_unused]] Backend& backend) {
#if defined(SSDQ_NCCL) && (TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 6)
  if (auto* nccl = dynamic_cast<c10d::ProcessGroupNCCL*>(&backend)) {
    nccl->shutdown();
  }
#endif
}

}  // namespace ssdq
