#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/structures/score_function.h"

namespace ssdq {

// A score and where it came from in one number, so that falling order of keys is falling order of
// scores, then rising class, then rising prior.
using CandidateKey = uint64_t;

struct Candidate {
  float score = 0;
  int label = 0;
  int prior = 0;
};

inline CandidateKey pack(float score, uint32_t place) {
  uint32_t bits = 0;
  std::memcpy(&bits, &score, sizeof bits);
  return (static_cast<uint64_t>(bits) << 32U) | (0xFFFFFFFFU - place);
}

inline Candidate unpack(CandidateKey key, int num_priors) {
  const auto bits = static_cast<uint32_t>(key >> 32U);
  const uint32_t place = 0xFFFFFFFFU - static_cast<uint32_t>(key);
  Candidate candidate;
  std::memcpy(&candidate.score, &bits, sizeof bits);
  candidate.label = static_cast<int>(place / static_cast<uint32_t>(num_priors));
  candidate.prior = static_cast<int>(place % static_cast<uint32_t>(num_priors));
  return candidate;
}

// MODEL.BOX_HEAD.SCORES.
inline ScoreFunction score_function(const BoxHeadConfig& head) {
  return head.scores == "sigmoid" ? ScoreFunction::kSigmoid : ScoreFunction::kSoftmax;
}

// Appends a key for every score above `threshold` of the classes 1..C-1 in the rows
// first <= p < last of `logits` [P, C], in no particular order. Rows with NaN or +inf give none.
void append_candidates(const float* logits, int num_priors, int num_classes, int first, int last,
                       ScoreFunction scores, float threshold, std::vector<CandidateKey>& keys);

}  // namespace ssdq
