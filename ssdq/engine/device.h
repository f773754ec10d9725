#pragma once

#include <string>

#include <torch/types.h>

namespace ssdq {

// MODEL.DEVICE as a device: "auto" is CUDA where LibTorch has it, else the CPU. Throws ConfigError
// when CUDA is asked for and is not there, or the name is none.
torch::Device resolve_device(const std::string& name);

// Makes a GPU the current one, where its tensors, streams and communicators are made, and has
// convolutions keep the 24 bits of float32 there: TensorFloat-32, cuDNN's choice, keeps 11, too few
// for codes times a step. Nothing for the CPU.
void use_device(torch::Device device);

// Threads for LibTorch and for the input pipeline, together at most `cores` on a CPU.
struct ThreadPlan {
  int compute = 1;
  int data = 0;  // 0: batches are made in the training thread, all cores taking part
};

// Spinning OpenMP threads beside busy loaders run 3 to 30 times slower, so on a CPU the two share
// the cores without overlap (docs/architecture.md).
ThreadPlan plan_threads(int num_threads, int num_workers, int cores, bool cuda);

}  // namespace ssdq
