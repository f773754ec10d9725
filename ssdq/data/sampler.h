#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ssdq {

// What becomes of the batch that the last images of an epoch do not fill: the next epoch's first
// images fill it, it is left out, or the epoch's own first images fill it again.
enum class EpochEnd { kContinue, kDrop, kPad };

// DATA_LOADER.EPOCH_END: "continue", "drop" or "pad"; else throws ConfigError.
EpochEnd parse_epoch_end(const std::string& text);

// Images that an epoch takes of `size`, `batch` at a step of all ranks. Throws ConfigError when
// none is left.
int64_t epoch_length(int64_t size, int64_t batch, EpochEnd end);

// An endless sequence of image numbers: every epoch is a permutation of 0..size-1 drawn from (seed,
// epoch), cut or repeated to `length`, so any position can be asked for without what went before.
// Not to be called from two threads at once.
class ShuffledSampler {
 public:
  // Throws Error when size or length is not positive.
  ShuffledSampler(int64_t size, uint64_t seed, int64_t length);

  int64_t index(int64_t position);

 private:
  uint64_t seed_;
  int64_t length_;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
};

// Position in that sequence of image `item` of the batch that `rank` of `world_size` takes at
// `iteration`: the ranks' batches lie one after another, so that together they are one batch of
// world_size * batch_size, the same for any number of ranks that share it out.
int64_t global_position(int64_t iteration, int item, int batch_size, int rank, int world_size);

// The images that `rank` of `world_size` evaluates: every world_size-th from its own number on, so
// that each of 0..size-1 is on one rank. How many, and which one is number `item`.
int64_t shard_size(int64_t size, int rank, int world_size);
int64_t shard_index(int64_t item, int rank, int world_size);

}  // namespace ssdq
