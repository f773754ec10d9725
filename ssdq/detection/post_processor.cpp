#include "ssdq/detection/post_processor.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include "ssdq/detection/candidates.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/simd.h"

namespace ssdq {
namespace {

constexpr int kLanes = 16;
constexpr int kPriorsPerTask = 1024;
constexpr size_t kFirstSelection = 512;

// Kept boxes side by side; unused lanes are empty boxes, which overlap nothing.
struct alignas(64) BoxLanes {
  float x1[kLanes] = {}, y1[kLanes] = {}, x2[kLanes] = {}, y2[kLanes] = {}, area[kLanes] = {};
};

// Whether the IoU of `box` with any of `kept` is above the threshold.
SSDQ_TARGET_CLONES
bool overlaps_any(const BoxLanes* kept, size_t blocks, const Box& box, float threshold) {
  const Box b = box;
  const float box_area = b.area();
  for (size_t k = 0; k < blocks; ++k) {
    const BoxLanes& lanes = kept[k];
    int any = 0;
    for (int i = 0; i < kLanes; ++i) {
      const float left = lanes.x1[i] > b.x1 ? lanes.x1[i] : b.x1;
      const float top = lanes.y1[i] > b.y1 ? lanes.y1[i] : b.y1;
      const float right = lanes.x2[i] < b.x2 ? lanes.x2[i] : b.x2;
      const float bottom = lanes.y2[i] < b.y2 ? lanes.y2[i] : b.y2;
      const float width = right - left;
      const float height = bottom - top;
      const float common = (width > 0 ? width : 0.0F) * (height > 0 ? height : 0.0F);
      any |= common / (lanes.area[i] + box_area - common) > threshold ? 1 : 0;
    }
    if (any != 0) {
      return true;
    }
  }
  return false;
}

struct ClassState {
  std::vector<BoxLanes> kept;
  int num_kept = 0;
  int num_seen = 0;

  void keep(const Box& box) {
    const int lane = num_kept % kLanes;
    if (lane == 0) {
      kept.emplace_back();
    }
    BoxLanes& lanes = kept.back();
    lanes.x1[lane] = box.x1;
    lanes.y1[lane] = box.y1;
    lanes.x2[lane] = box.x2;
    lanes.y2[lane] = box.y2;
    lanes.area[lane] = box.area();
    ++num_kept;
  }
};

int limit_or_all(int limit) { return limit < 0 ? std::numeric_limits<int>::max() : limit; }

bool is_finite(const Box& box) {
  return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) &&
         std::isfinite(box.y2);
}

Box clip_to(const Box& box, Size2 size) {
  const auto width = static_cast<float>(size.width);
  const auto height = static_cast<float>(size.height);
  return {std::clamp(box.x1, 0.0F, width), std::clamp(box.y1, 0.0F, height),
          std::clamp(box.x2, 0.0F, width), std::clamp(box.y2, 0.0F, height)};
}

// Greedy suppression over candidates given by falling key.
class Suppressor {
 public:
  Suppressor(const std::vector<CenterBox>& priors, int num_classes,
             const PostProcessOptions& options, const float* locations, Size2 image_size)
      : priors_(priors),
        options_(options),
        locations_(locations),
        image_size_(image_size),
        max_seen_(limit_or_all(options.candidates_per_class)),
        max_kept_(limit_or_all(options.max_per_class)),
        max_detections_(static_cast<size_t>(limit_or_all(options.max_per_image))),
        open_classes_(max_seen_ == 0 || max_kept_ == 0 ? 0 : num_classes - 1),
        classes_(static_cast<size_t>(num_classes)) {}

  bool done() const { return open_classes_ == 0 || detections_.size() >= max_detections_; }

  void visit(CandidateKey key) {
    const Candidate candidate = unpack(key, static_cast<int>(priors_.size()));
    ClassState& state = classes_[candidate.label];
    if (state.num_seen >= max_seen_ || state.num_kept >= max_kept_) {
      return;
    }
    ++state.num_seen;
    const Box box = pixel_box(candidate.prior);
    if (is_finite(box) &&
        !overlaps_any(state.kept.data(), state.kept.size(), box, options_.nms_threshold)) {
      state.keep(box);
      detections_.push_back(
          {options_.clip ? clip_to(box, image_size_) : box, candidate.score, candidate.label});
    }
    if (state.num_seen >= max_seen_ || state.num_kept >= max_kept_) {
      --open_classes_;
    }
  }

  Detections take() { return std::move(detections_); }

 private:
  Box pixel_box(int prior) const {
    const Box norm = to_corners(
        decode(locations_ + static_cast<size_t>(prior) * 4, priors_[prior], options_.variances));
    const auto width = static_cast<float>(image_size_.width);
    const auto height = static_cast<float>(image_size_.height);
    return {norm.x1 * width, norm.y1 * height, norm.x2 * width, norm.y2 * height};
  }

  const std::vector<CenterBox>& priors_;
  const PostProcessOptions& options_;
  const float* locations_;
  Size2 image_size_;
  int max_seen_, max_kept_;
  size_t max_detections_;
  int open_classes_;  // that may still give a detection
  std::vector<ClassState> classes_;
  Detections detections_;
};

// Hands out keys by falling value, sorting no more of them than are asked for.
void visit_in_order(std::vector<CandidateKey>& keys, Suppressor& suppressor) {
  auto begin = keys.begin();
  size_t step = kFirstSelection;
  while (begin != keys.end() && !suppressor.done()) {
    const auto remaining = static_cast<size_t>(keys.end() - begin);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(step, remaining));
    if (end != keys.end()) {
      std::nth_element(begin, end, keys.end(), std::greater<>());
    }
    std::sort(begin, end, std::greater<>());
    for (; begin != end && !suppressor.done(); ++begin) {
      suppressor.visit(*begin);
    }
    step *= 4;
  }
}

void check_options(size_t num_priors, int num_classes, const PostProcessOptions& options) {
  SSDQ_CHECK_CONFIG(num_classes >= 2,
                    "MODEL.NUM_CLASSES is {}; expected at least 2, the background included",
                    num_classes);
  SSDQ_CHECK_CONFIG(num_priors > 0 && num_priors * static_cast<size_t>(num_classes) < (1ULL << 31U),
                    "post-processing got {} priors and {} classes; expected at least one prior and "
                    "a product below 2^31",
                    num_priors, num_classes);
  SSDQ_CHECK_CONFIG(options.confidence_threshold >= 0 && options.confidence_threshold < 1,
                    "TEST.CONFIDENCE_THRESHOLD is {}; expected a number from 0 to below 1",
                    options.confidence_threshold);
  SSDQ_CHECK_CONFIG(options.nms_threshold >= 0 && options.nms_threshold <= 1,
                    "TEST.NMS_THRESHOLD is {}; expected a number from 0 to 1",
                    options.nms_threshold);
}

}  // namespace

PostProcessor::PostProcessor(std::vector<CenterBox> priors, int num_classes,
                             PostProcessOptions options)
    : priors_(std::move(priors)), num_classes_(num_classes), options_(options) {
  check_options(priors_.size(), num_classes, options);
}

Detections PostProcessor::process(const float* class_logits, const float* locations,
                                  Size2 image_size, bool parallel) const {
  const int tasks = parallel ? (num_priors() + kPriorsPerTask - 1) / kPriorsPerTask : 1;
  const int per_task = parallel ? kPriorsPerTask : num_priors();
  std::vector<std::vector<CandidateKey>> found(static_cast<size_t>(tasks));
  const auto score = [&](int task) {
    const int first = task * per_task;
    append_candidates(class_logits, num_priors(), num_classes_, first,
                      std::min(first + per_task, num_priors()), options_.scores,
                      options_.confidence_threshold, found[task]);
  };
  if (parallel) {
    tbb::parallel_for(0, tasks, score);
  } else {
    score(0);
  }
  std::vector<CandidateKey>& keys = found.front();
  for (int task = 1; task < tasks; ++task) {
    keys.insert(keys.end(), found[task].begin(), found[task].end());
  }
  Suppressor suppressor(priors_, num_classes_, options_, locations, image_size);
  visit_in_order(keys, suppressor);
  return suppressor.take();
}

std::vector<Detections> PostProcessor::run(const float* class_logits, const float* locations,
                                           const std::vector<Size2>& image_sizes,
                                           int num_threads) const {
  const size_t images = image_sizes.size();
  std::vector<Detections> results(images);
  const bool parallel = num_threads != 1;
  const auto process_image = [&](size_t n) {
    const size_t first = n * priors_.size();
    results[n] = process(class_logits + first * static_cast<size_t>(num_classes_),
                         locations + first * 4, image_sizes[n], parallel);
  };
  if (parallel) {
    const int cores = tbb::info::default_concurrency();
    tbb::task_arena arena(num_threads > 0 ? std::min(num_threads, cores) : cores);
    arena.execute([&] { tbb::parallel_for(size_t{0}, images, process_image); });
  } else {
    for (size_t n = 0; n < images; ++n) {
      process_image(n);
    }
  }
  return results;
}

}  // namespace ssdq
