#include "ssdq/data/sampler.h"

#include <numeric>
#include <utility>

#include "ssdq/data/random.h"
#include "ssdq/utils/error.h"

namespace ssdq {

ShuffledSampler::ShuffledSampler(int64_t size, uint64_t seed)
    : size_(size), seed_(seed), permutation_(static_cast<size_t>(size)) {
  SSDQ_CHECK(size > 0, "cannot sample from a data set without images");
}

int64_t ShuffledSampler::index(int64_t position) {
  if (const int64_t epoch = position / size_; epoch != epoch_) {
    shuffle(epoch);
  }
  return permutation_[static_cast<size_t>(position % size_)];
}

void ShuffledSampler::shuffle(int64_t epoch) {
  std::iota(permutation_.begin(), permutation_.end(), 0);
  Random random(seed_, static_cast<uint64_t>(epoch));
  for (size_t i = permutation_.size(); i > 1; --i) {
    std::swap(permutation_[i - 1], permutation_[random.below(i)]);
  }
  epoch_ = epoch;
}

}  // namespace ssdq
