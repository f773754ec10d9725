#include "ssdq/data/sampler.h"

#include <numeric>
#include <utility>

#include "ssdq/data/transforms/random.h"
#include "ssdq/utils/error.h"

namespace ssdq {

ShuffledSampler::ShuffledSampler(int64_t size, uint64_t seed) : seed_(seed) {
  SSDQ_CHECK(size > 0, "the data set to train on has no images");
  order_.resize(static_cast<size_t>(size));
}

int64_t ShuffledSampler::index(int64_t position) {
  const auto size = static_cast<int64_t>(order_.size());
  if (epoch_ != position / size) {
    epoch_ = position / size;
    Random random(seed_, static_cast<uint64_t>(epoch_));
    std::iota(order_.begin(), order_.end(), int64_t{0});
    for (size_t i = order_.size(); i > 1; --i) {
      std::swap(order_[i - 1], order_[random.below(i)]);
    }
  }
  return order_[static_cast<size_t>(position % size)];
}

int64_t global_position(int64_t iteration, int item, int batch_size, int rank, int world_size) {
  return (iteration * world_size + rank) * batch_size + item;
}

int64_t shard_size(int64_t size, int rank, int world_size) {
  return (size - rank + world_size - 1) / world_size;
}

int64_t shard_index(int64_t item, int rank, int world_size) { return item * world_size + rank; }

}  // namespace ssdq
