#include "ssdq/distributed/group_statistics.h"

#include <utility>
#include <vector>

#include <torch/torch.h>

namespace ssdq {
namespace {

class GroupStatistics : public StatisticsReducer {
 public:
  explicit GroupStatistics(std::shared_ptr<ProcessGroup> group) : group_(std::move(group)) {}

  int ranks() const override { return group_->size(); }

  void sum(torch::Tensor tensor) override { group_->all_reduce(std::move(tensor))->wait(); }

  // A sum in which each rank has a row of its own is all ranks' tensors.
  void max(torch::Tensor tensor) override {
    std::vector<int64_t> sizes = tensor.sizes().vec();
    sizes.insert(sizes.begin(), group_->size());
    const torch::Tensor rows = torch::zeros(sizes, tensor.options());
    rows[group_->rank()].copy_(tensor);
    sum(rows);
    tensor.copy_(rows.amax(0));
  }

 private:
  std::shared_ptr<ProcessGroup> group_;
};

}  // namespace

StatisticsReducerPtr statistics_over(std::shared_ptr<ProcessGroup> group) {
  return std::make_shared<GroupStatistics>(std::move(group));
}

}  // namespace ssdq
