#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/data/dataset.h"
#include "ssdq/data/sampler.h"
#include "ssdq/detection/matcher.h"
#include "ssdq/structures/object.h"
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

struct LoaderOptions {
  int batch_size = 32;  // per rank
  Size2 image_size{300, 300};
  std::array<float, 3> mean{123, 117, 104};  // RGB, 0..255
  std::array<float, 3> std{1, 1, 1};
  int num_workers = 0;  // threads that work ahead; 0: next() makes the batch
  int own_threads = 1;  // threads that next() then uses
  int prefetch = 4;     // batches ready ahead
  int rank = 0;
  int world_size = 1;
  // Training only.
  AugmentationConfig augmentation;
  uint64_t seed = 0;
  EpochEnd epoch_end = EpochEnd::kContinue;
  int64_t num_priors = 0;  // P
  // Objects (pixels) fit for training, given the decoded size; unset: the record's own.
  std::function<std::vector<Object>(const Record&, Size2)> sanitize;
  // Targets of P priors from objects in [0, 1]; unset: labels and locations stay zero.
  std::function<Targets(const std::vector<Object>&)> match;
};

class BatchQueue;

// Endless shuffled, augmented batches. Batch k depends on the data set, the options that shape it,
// and k alone, so neither the number of workers nor a restart changes it; the ranks' batches k one
// after another are batch k of one rank with world_size * batch_size images. An image that is left
// without objects is used, all background. The data set must outlive the loader. Makes OpenCV
// single-threaded (cv::setNumThreads(1)).
class TrainLoader {
 public:
  TrainLoader(const Dataset& dataset, const LoaderOptions& options, int64_t start_iteration = 0);
  ~TrainLoader();

  // Throws Error that names the file when an image cannot be used; may then be called again.
  Batch next();

  // Gives a used batch's memory back, which saves touching new memory for each batch.
  void recycle(Batch&& batch);

 private:
  std::unique_ptr<BatchQueue> queue_;
};

// Each image once, in order, with the transform of evaluation; the last batch may be smaller. Of
// several ranks each gives its own images (shard_index), which may be none.
class TestLoader {
 public:
  TestLoader(const Dataset& dataset, const LoaderOptions& options);
  ~TestLoader();

  // nullopt after the last batch. Errors as in TrainLoader::next().
  std::optional<Batch> next();

  void recycle(Batch&& batch);

 private:
  std::unique_ptr<BatchQueue> queue_;
};

}  // namespace ssdq
