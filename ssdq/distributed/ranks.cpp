#include "ssdq/distributed/ranks.h"

#include "ssdq/distributed/group_statistics.h"

namespace ssdq {

std::shared_ptr<const Ranks> connect_ranks(const World& world, const DistributedConfig& config,
                                           torch::Device device) {
  if (world.size == 1 && (device.is_cpu() || config.backend != "nccl")) {
    return nullptr;
  }
  const auto groups = connect_groups(world, config, device, 2);
  return std::make_shared<const Ranks>(Ranks{groups[0], statistics_over(groups[1])});
}

}  // namespace ssdq
