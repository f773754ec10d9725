#include "ssdq/engine/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::string refusal(const std::string& device) {
  try {
    resolve_device(device);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Device, AutoIsTheCpuWithoutGpu) {
  if (torch::cuda::is_available()) {
    GTEST_SKIP() << "this machine has a GPU";
  }
  EXPECT_TRUE(resolve_device("auto").is_cpu());
}

TEST(Device, CudaWithoutGpuNamesTheOverride) {
  if (torch::cuda::is_available()) {
    GTEST_SKIP() << "this machine has a GPU";
  }
  EXPECT_EQ(refusal("cuda"),
            "MODEL.DEVICE: 'cuda' was asked for, but this LibTorch sees no GPU; add the override "
            "`MODEL.DEVICE cpu` "
            "(or auto)");
}

TEST(Device, NonsenseIsRefusedByName) {
  EXPECT_EQ(refusal("gpu"), "MODEL.DEVICE: 'gpu' is no device; expected auto, cpu, cuda or cuda:N");
  EXPECT_EQ(refusal("meta"),
            "MODEL.DEVICE: 'meta' is not supported; expected auto, cpu, cuda or cuda:N");
}

TEST(ThreadPlan, NeverUsesMoreThreadsThanCoresOnTheCpu) {
  for (int cores = 1; cores <= 64; cores *= 2) {
    for (int workers : {0, 1, 8, 100}) {
      for (int threads : {0, 1, 3, 100}) {
        const auto plan = plan_threads(threads, workers, cores, /*cuda=*/false);
        EXPECT_GE(plan.compute, 1);
        EXPECT_GE(plan.data, 0);
        EXPECT_LE(plan.data, workers);
        EXPECT_LE(plan.compute + plan.data, cores);
      }
    }
  }
}

TEST(ThreadPlan, LoadersTakeTheCoresThatComputeLeaves) {
  const auto plan = plan_threads(/*num_threads=*/6, /*num_workers=*/8, /*cores=*/8, /*cuda=*/false);
  EXPECT_EQ(plan.compute, 6);
  EXPECT_EQ(plan.data, 2);
}

}  // namespace
}  // namespace ssdq
