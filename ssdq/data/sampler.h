#pragma once

#include <cstdint>
#include <vector>

namespace ssdq {

// Endless shuffled order of a data set: position p is image p mod n of epoch p div n, each epoch a fresh permutation of
// (seed, epoch). Depends on nothing else, so it starts at any position and is the same on every rank.
class ShuffledSampler {
 public:
  // `size` > 0 images.
  ShuffledSampler(int64_t size, uint64_t seed);

  int64_t index(int64_t position);

 private:
  void shuffle(int64_t epoch);

  int64_t size_;
  uint64_t seed_;
  int64_t epoch_ = -1;
  std::vector<int64_t> permutation_;
};

}  // namespace ssdq
