#include "ssdq/data/loader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <opencv2/core/utility.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Batch empty_batch(int64_t size, Size2 image_size, int64_t num_priors) {
  const auto n = static_cast<size_t>(size);
  Batch batch;
  batch.size = size;
  batch.image_size = image_size;
  batch.num_priors = num_priors;
  batch.images.resize(n * static_cast<size_t>(image_size.height) * static_cast<size_t>(image_size.width) * 3);
  batch.labels.resize(n * static_cast<size_t>(num_priors));
  batch.locations.resize(n * static_cast<size_t>(num_priors) * 4);
  batch.indices.resize(n);
  batch.image_ids.resize(n);
  batch.original_sizes.resize(n);
  return batch;
}

float* image_of(Batch& batch, int64_t i) {
  return batch.images.data() + i * batch.image_size.height * batch.image_size.width * 3;
}

// body(i) for each image of the batch, on up to `threads` threads including this one.
template <typename Body>
void for_each_image(int64_t size, int threads, const Body& body) {
  if (threads <= 1) {
    for (int64_t i = 0; i < size; ++i) {
      body(i);
    }
    return;
  }
  tbb::task_arena arena(threads);
  arena.execute([&] { tbb::parallel_for(int64_t{0}, size, body); });
}

int threads_for(const LoaderOptions& options) { return options.num_workers > 0 ? 1 : options.batch_threads; }

void put_targets(const Targets& targets, Batch& batch, int64_t i) {
  const auto p = static_cast<size_t>(batch.num_priors);
  SSDQ_CHECK(targets.labels.size() == p, "internal: {} targets for {} priors", targets.labels.size(), p);
  std::copy(targets.labels.begin(), targets.labels.end(), batch.labels.begin() + i * batch.num_priors);
  std::memcpy(batch.locations.data() + static_cast<size_t>(i) * p * 4, targets.locations.data(), p * 4 * sizeof(float));
}

}  // namespace

TrainLoader::TrainLoader(const Dataset& dataset, TrainLoaderOptions options, int64_t first_iteration)
    : dataset_(dataset),
      options_(std::move(options)),
      transform_(options_.image_size, options_.normalization, options_.augmentation),
      sampler_(dataset.size(), options_.seed),
      queue_([this](int64_t number) { return make(number); }, first_iteration, options_.num_workers,
             options_.prefetch) {
  cv::setNumThreads(1);  // the loader's own threads are all there should be
}

std::vector<int64_t> TrainLoader::indices_of(int64_t number) {
  const std::lock_guard lock(sampler_mutex_);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < options_.batch_size; ++i) {
    indices.push_back(sampler_.index(number * options_.batch_size + i));
  }
  return indices;
}

Batch TrainLoader::make(int64_t number) {
  Batch batch = empty_batch(options_.batch_size, options_.image_size, options_.num_priors);
  batch.indices = indices_of(number);
  for_each_image(batch.size, threads_for(options_), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    const Record record = dataset_.record(batch.indices[at]);
    const EncodedImage image(record.image_path);

    Random random(options_.seed + 1, static_cast<uint64_t>(number * options_.batch_size + i));
    const auto objects = transform_(image, options_.sanitize(record, image.size()), random, image_of(batch, i));
    put_targets(options_.match(objects), batch, i);
    batch.image_ids[at] = record.image_id;
    batch.original_sizes[at] = image.size();
  });
  return batch;
}

TestLoader::TestLoader(const Dataset& dataset, LoaderOptions options)
    : dataset_(dataset),
      options_(std::move(options)),
      num_batches_((dataset.size() + options_.batch_size - 1) / options_.batch_size),
      queue_([this](int64_t number) { return make(number); }, 0, options_.num_workers, options_.prefetch) {
  cv::setNumThreads(1);
}

std::optional<Batch> TestLoader::next() {
  if (done_ == num_batches_) {
    return std::nullopt;
  }
  ++done_;
  return queue_.next();
}

Batch TestLoader::make(int64_t number) const {
  const int64_t first = number * options_.batch_size;
  const int64_t size = std::max<int64_t>(0, std::min<int64_t>(options_.batch_size, dataset_.size() - first));
  Batch batch = empty_batch(size, options_.image_size, 0);
  for_each_image(size, threads_for(options_), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    const Record record = dataset_.record(first + i);
    const cv::Mat rgb = read_image(record.image_path);
    test_transform(rgb, options_.image_size, options_.normalization, image_of(batch, i));
    batch.indices[at] = first + i;
    batch.image_ids[at] = record.image_id;
    batch.original_sizes[at] = {rgb.rows, rgb.cols};
  });
  return batch;
}

Batch make_test_batch(const cv::Mat& rgb, Size2 image_size, const Normalization& normalization) {
  Batch batch = empty_batch(1, image_size, 0);
  test_transform(rgb, image_size, normalization, batch.images.data());
  batch.original_sizes[0] = {rgb.rows, rgb.cols};
  return batch;
}

}  // namespace ssdq
