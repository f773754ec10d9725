#include "ssdq/data/sampler.h"

#include <numeric>
#include <utility>

#include "ssdq/data/transforms/random.h"
#include "ssdq/utils/error.h"

namespace ssdq {

EpochEnd parse_epoch_end(const std::string& text) {
  if (text == "continue") return EpochEnd::kContinue;
  if (text == "drop") return EpochEnd::kDrop;
  if (text == "pad") return EpochEnd::kPad;
  fail_config("DATA_LOADER.EPOCH_END: {}: expected continue, drop or pad", text);
}

int64_t epoch_length(int64_t size, int64_t batch, EpochEnd end) {
  if (end == EpochEnd::kContinue) {
    return size;
  }
  const int64_t whole = size / batch * batch;
  SSDQ_CHECK_CONFIG(
      end == EpochEnd::kPad || whole > 0,
      "DATA_LOADER.EPOCH_END drop leaves nothing of {} images, as a step of all ranks takes {}; "
      "use pad or continue, or a smaller SOLVER.BATCH_SIZE",
      size, batch);
  return end == EpochEnd::kPad && whole < size ? whole + batch : whole;
}

ShuffledSampler::ShuffledSampler(int64_t size, uint64_t seed, int64_t length)
    : seed_(seed), length_(length) {
  SSDQ_CHECK(size > 0 && length > 0, "the data set to train on has no images");
  order_.resize(static_cast<size_t>(size));
}

int64_t ShuffledSampler::index(int64_t position) {
  const auto size = static_cast<int64_t>(order_.size());
  if (epoch_ != position / length_) {
    epoch_ = position / length_;
    Random random(seed_, static_cast<uint64_t>(epoch_));
    std::iota(order_.begin(), order_.end(), int64_t{0});
    for (size_t i = order_.size(); i > 1; --i) {
      std::swap(order_[i - 1], order_[random.below(i)]);
    }
  }
  return order_[static_cast<size_t>(position % length_ % size)];
}

int64_t global_position(int64_t iteration, int item, int batch_size, int rank, int world_size) {
  return (iteration * world_size + rank) * batch_size + item;
}

int64_t shard_size(int64_t size, int rank, int world_size) {
  return (size - rank + world_size - 1) / world_size;
}

int64_t shard_index(int64_t item, int rank, int world_size) { return item * world_size + rank; }

}  // namespace ssdq
