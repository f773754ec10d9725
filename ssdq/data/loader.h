#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/data/dataset.h"
#include "ssdq/data/sampler.h"
#include "ssdq/data/transforms/train_transform.h"
#include "ssdq/detection/matcher.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// A collated batch in plain memory, so that the pipeline needs no LibTorch.
struct Batch {
  int64_t size = 0;  // images N
  Size2 image_size;
  std::vector<float> images;           // [N, H, W, 3] RGB, (value - mean) / std
  int64_t num_priors = 0;              // P; 0 when testing
  std::vector<int64_t> labels;         // [N, P], 0 = background
  std::vector<float> locations;        // [N, P, 4] encoded boxes
  std::vector<int64_t> indices;        // [N] into the data set
  std::vector<std::string> image_ids;  // [N]
  std::vector<Size2> original_sizes;   // [N] px
};

// Batches of numbered positions, made ahead by worker threads and handed over in order.
class BatchQueue {
 public:
  using Make = std::function<Batch(int64_t number)>;

  // `num_workers` threads keep up to `prefetch` batches ready and sleep when they are; with none, next() makes the batch
  // itself. `make` is called from any of them.
  BatchQueue(Make make, int64_t first, int num_workers, int prefetch);
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // The next batch. Rethrows what making it threw; the queue is then still usable.
  Batch next();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

struct LoaderOptions {
  int batch_size = 1;
  Size2 image_size{300, 300};
  Normalization normalization;
  int num_workers = 0;   // threads that work ahead; 0: batches are made in next()
  int prefetch = 4;      // batches ready ahead
  int batch_threads = 1; // threads that share the images of a batch when there are no workers
};

struct TrainLoaderOptions : LoaderOptions {
  AugmentationConfig augmentation;
  uint64_t seed = 0;
  int64_t num_priors = 0;  // P
  std::function<std::vector<Object>(const Record&, Size2)> sanitize;
  std::function<Targets(const std::vector<Object>& objects_norm)> match;
};

// Endless augmented batches. Batch k holds the sampler's positions k N .. k N + N - 1, and an image's random numbers depend on the
// seed and its position alone, so the batches do not depend on the number of threads, nor on
// where training was interrupted. An image whose objects were all cropped away is kept: its priors are background.
class TrainLoader {
 public:
  // Starts at batch `first_iteration`. The data set must outlive the loader.
  TrainLoader(const Dataset& dataset, TrainLoaderOptions options, int64_t first_iteration);

  // Throws Error naming the image that cannot be read.
  Batch next() { return queue_.next(); }

 private:
  Batch make(int64_t number);
  std::vector<int64_t> indices_of(int64_t number);

  const Dataset& dataset_;
  TrainLoaderOptions options_;
  TrainTransform transform_;
  std::mutex sampler_mutex_;
  ShuffledSampler sampler_;
  BatchQueue queue_;  // last: its threads use the others
};

// Every image once, in order; the last batch may be smaller.
class TestLoader {
 public:
  TestLoader(const Dataset& dataset, LoaderOptions options);

  // Nothing after the last image. Throws Error naming the image that cannot be read.
  std::optional<Batch> next();

 private:
  Batch make(int64_t number) const;

  const Dataset& dataset_;
  LoaderOptions options_;
  int64_t num_batches_;
  int64_t done_ = 0;
  BatchQueue queue_;
};

// A batch of one decoded 8-bit RGB image, as TestLoader makes them.
Batch make_test_batch(const cv::Mat& rgb, Size2 image_size, const Normalization& normalization);

}  // namespace ssdq
