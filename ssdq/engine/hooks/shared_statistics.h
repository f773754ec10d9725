#pragma once

#include <memory>
#include <vector>

#include <torch/types.h>

#include "ssdq/distributed/process_group.h"
#include "ssdq/engine/hook.h"
#include "ssdq/modeling/detector.h"

namespace ssdq {

// Where batch norms follow the images of their own rank (DISTRIBUTED.SYNC_BN false): gives rank 0's
// floating-point buffers to all after each step, so that all save, average and evaluate one
// network.
class SharedStatistics : public Hook {
 public:
  SharedStatistics(std::shared_ptr<ProcessGroup> group, const Detector& detector);

  std::string name() const override { return "shared_statistics"; }
  void after_step(Trainer& trainer) override;

 private:
  std::shared_ptr<ProcessGroup> group_;
  std::vector<torch::Tensor> buffers_;
};

}  // namespace ssdq
