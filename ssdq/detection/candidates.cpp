#include "ssdq/detection/candidates.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "ssdq/detection/fast_exp.h"
#include "ssdq/utils/simd.h"

namespace ssdq {
namespace {

constexpr int kLanes = 16;  // priors side by side in a vector
constexpr int kChunk = 256;

struct Rows {
  const float* logits;  // [P, C]
  int num_priors;
  int num_classes;
};

float* column_of(float* columns, int c) {
  return columns + static_cast<std::ptrdiff_t>(c) * kLanes;
}

// The logit of the threshold, less a margin for rounding. The softmax of two classes bounds that of
// all from above, so a foreground logit must exceed the background's by this much for its
// probability to pass; a sigmoid passes from here on.
float least_lead(float threshold) {
  if (threshold <= 0) {
    return -std::numeric_limits<float>::infinity();
  }
  return std::log(threshold / (1 - threshold)) - 1e-3F;
}

// A row of logits that holds NaN or +inf.
bool is_unusable(const float* row, int num_classes) {
  return std::any_of(row, row + num_classes, [](float x) {
    return std::isnan(x) || x == std::numeric_limits<float>::infinity();
  });
}

// Almost all logits fall short of the least one that can pass, so that the sigmoid is seldom taken.
void append_sigmoids(const Rows& rows, int first, int last, float threshold, float least,
                     std::vector<CandidateKey>& keys) {
  for (int prior = first; prior < last; ++prior) {
    const float* row = rows.logits + static_cast<size_t>(prior) * rows.num_classes;
    // NaN is not below.
    const bool none =
        std::all_of(row + 1, row + rows.num_classes, [least](float x) { return x < least; });
    if (none || is_unusable(row, rows.num_classes)) {
      continue;
    }
    for (int c = 1; c < rows.num_classes; ++c) {
      const float score = 1 / (1 + std::exp(-row[c]));
      if (score > threshold) {
        keys.push_back(
            pack(score, static_cast<uint32_t>(c) * static_cast<uint32_t>(rows.num_priors) +
                            static_cast<uint32_t>(prior)));
      }
    }
  }
}

// Turns `columns` [C][kLanes] from logits into exponentials, and `scale` into the reciprocals of
// their sums. False, and nothing done, when no class of any lane can pass.
inline bool exponentials(float* __restrict columns, int num_classes, float lead,
                         float* __restrict scale) {
  float largest[kLanes];
  float sum[kLanes] = {};
  std::copy_n(columns + kLanes, kLanes, largest);
  for (int c = 2; c < num_classes; ++c) {
    const float* column = column_of(columns, c);
    for (int i = 0; i < kLanes; ++i) {
      largest[i] = column[i] > largest[i] ? column[i] : largest[i];
    }
  }
  int possible = 0;
  for (int i = 0; i < kLanes; ++i) {
    possible |= largest[i] - columns[i] > lead ? 1 : 0;
    largest[i] = columns[i] > largest[i] ? columns[i] : largest[i];
  }
  if (possible == 0) {
    return false;
  }
  for (int c = 0; c < num_classes; ++c) {
    float* column = column_of(columns, c);
    for (int i = 0; i < kLanes; ++i) {
      column[i] = fast_exp(column[i] - largest[i]);
      sum[i] += column[i];
    }
  }
  for (int i = 0; i < kLanes; ++i) {
    scale[i] = 1 / sum[i];
  }
  return true;
}

// Writes the keys of rows first..last-1 to `out`, which has room for all of them and one more;
// returns how many. `columns` is room for num_classes * kLanes floats.
SSDQ_TARGET_CLONES
size_t chunk_candidates(const Rows& rows, int first, int last, float threshold, float lead,
                        float* __restrict columns, CandidateKey* __restrict out) {
  const int num_classes = rows.num_classes;
  size_t count = 0;
  for (int prior = first; prior < last; prior += kLanes) {
    const int lanes = std::min(kLanes, last - prior);
    for (int i = 0; i < kLanes; ++i) {
      const float* row =
          rows.logits + static_cast<size_t>(prior + std::min(i, lanes - 1)) * num_classes;
      for (int c = 0; c < num_classes; ++c) {
        column_of(columns, c)[i] = row[c];
      }
    }
    float scale[kLanes];
    if (!exponentials(columns, num_classes, lead, scale)) {
      continue;
    }
    for (int c = 1; c < num_classes; ++c) {
      float* scores = column_of(columns, c);
      int any = 0;
      for (int i = 0; i < kLanes; ++i) {
        scores[i] *= scale[i];
        any |= scores[i] > threshold ? 1 : 0;
      }
      if (any == 0) {
        continue;
      }
      const auto place = static_cast<uint32_t>(c) * static_cast<uint32_t>(rows.num_priors) + prior;
      for (int i = 0; i < lanes; ++i) {
        out[count] = pack(scores[i], place + i);
        count += scores[i] > threshold ? 1 : 0;
      }
    }
  }
  return count;
}

}  // namespace

void append_candidates(const float* logits, int num_priors, int num_classes, int first, int last,
                       ScoreFunction scores, float threshold, std::vector<CandidateKey>& keys) {
  const Rows rows{logits, num_priors, num_classes};
  const float lead = least_lead(threshold);
  if (scores == ScoreFunction::kSigmoid) {
    append_sigmoids(rows, first, last, threshold, lead, keys);
    return;
  }
  std::vector<float> columns(static_cast<size_t>(num_classes) * kLanes);
  std::vector<CandidateKey> found(static_cast<size_t>(kChunk) * (num_classes - 1) + 1);
  keys.reserve(keys.size() + static_cast<size_t>(last - first) * (num_classes - 1));
  for (int begin = first; begin < last; begin += kChunk) {
    const size_t count = chunk_candidates(rows, begin, std::min(begin + kChunk, last), threshold,
                                          lead, columns.data(), found.data());
    keys.insert(keys.end(), found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

}  // namespace ssdq
