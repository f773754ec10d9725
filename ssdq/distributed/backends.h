#pragma once

#include <string>

#include <torch/types.h>
#include <torch/version.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#endif

#include "ssdq/distributed/world.h"

namespace ssdq {

// What carries out collective calls: a ProcessGroup in LibTorch 1, a Backend in LibTorch 2, with
// the same calls.
#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend;
#else
using Backend = c10d::ProcessGroup;
#endif

// nccl, gloo or mpi; resolves auto: nccl for CUDA tensors where this LibTorch has it, else gloo.
// Throws ConfigError for one that it does not have, or that does not carry the device's tensors.
std::string choose_backend(const std::string& configured, torch::Device device);

// Connects the ranks that met at the store. Throws what c10d throws.
c10::intrusive_ptr<Backend> make_backend(const std::string& name, const World& world,
                                         const c10::intrusive_ptr<c10d::Store>& store,
                                         double timeout, torch::Device device);

// Ends the group in peace when all ranks are done with it; every rank calls it.
void close_backend(Backend& backend);

}  // namespace ssdq
