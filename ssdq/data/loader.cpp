#include "ssdq/data/loader.h"

#include <algorithm>
#include <string>
#include <utility>

#include <opencv2/core/utility.hpp>

#include "ssdq/data/batch_queue.h"
#include "ssdq/data/image_reader.h"
#include "ssdq/data/transforms/geometry.h"
#include "ssdq/data/transforms/photometric.h"
#include "ssdq/data/transforms/render.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr uint64_t kImageSeed =
    0x5353445147454F4DU;  // keeps images' streams apart from the sampler's

void check(const LoaderOptions& options) {
  SSDQ_CHECK_CONFIG(options.batch_size > 0, "the batch size is {}, expected at least 1",
                    options.batch_size);
  SSDQ_CHECK_CONFIG(options.image_size.width > 0 && options.image_size.height > 0,
                    "the input size is {} x {}, expected at least 1 x 1", options.image_size.height,
                    options.image_size.width);
  for (const float std : options.std) {
    SSDQ_CHECK_CONFIG(std > 0, "the pixel standard deviation is {}, expected more than 0", std);
  }
  SSDQ_CHECK_CONFIG(options.rank >= 0 && options.rank < options.world_size,
                    "rank {} of {} does not exist", options.rank, options.world_size);
}

size_t image_floats(const LoaderOptions& options) {
  return static_cast<size_t>(options.image_size.height) * options.image_size.width * 3;
}

void open_batch(const LoaderOptions& options, int64_t size, int64_t num_priors, Batch& out) {
  out.size = size;
  out.image_size = options.image_size;
  out.num_priors = num_priors;
  out.images.resize(size * image_floats(options));
  out.labels.resize(size * num_priors);
  out.locations.resize(size * num_priors * 4);
  out.indices.resize(size);
  out.image_ids.resize(size);
  out.original_sizes.resize(size);
}

// The smallest of 8, 4, 2 and 1 eighths that still gives each side of the view at least the
// output's pixels.
int reduction(const View& view, Size2 size) {
  int eighths = 8;
  while (eighths > 1 &&
         view.view.width() * static_cast<float>(eighths) / 16 >= static_cast<float>(size.width) &&
         view.view.height() * static_cast<float>(eighths) / 16 >= static_cast<float>(size.height)) {
    eighths /= 2;
  }
  return eighths;
}

void store_targets(const Targets& targets, const Record& record, int item, Batch& out) {
  const auto count = static_cast<size_t>(out.num_priors);
  SSDQ_CHECK(targets.labels.size() == count && targets.locations.size() == count,
             "{}: matching gave {} targets, expected {}", record.image_path, targets.labels.size(),
             count);
  std::copy(targets.labels.begin(), targets.labels.end(),
            out.labels.begin() + item * out.num_priors);
  float* locations = out.locations.data() + item * out.num_priors * 4;
  for (const std::array<float, 4>& location : targets.locations) {
    locations = std::copy(location.begin(), location.end(), locations);
  }
}

void describe_image(const Record& record, int item, Size2 size, Batch& out) {
  out.image_ids[item] = record.image_id;
  out.original_sizes[item] = size;
}

void fill_training(const Record& record, const LoaderOptions& options, Random random, int item,
                   Batch& out) {
  const ImageFile file(record.image_path);
  describe_image(record, item, file.size(), out);
  const std::vector<Object> objects =
      options.sanitize ? options.sanitize(record, file.size()) : record.objects;
  const Sample sample = draw_sample(options.augmentation, file.size(), objects, random);
  const Photometric how =
      options.augmentation.photometric ? draw_photometric(random) : Photometric{};
  const cv::Mat image = file.decode_fast(reduction(sample.view, options.image_size));
  render_view(image, file.size(), sample.view, how, {options.mean, options.std}, options.image_size,
              out.images.data() + item * image_floats(options));
  if (options.match) {
    store_targets(options.match(sample.objects), record, item, out);
  } else {
    std::fill_n(out.labels.begin() + item * out.num_priors, out.num_priors, 0);
    std::fill_n(out.locations.begin() + item * out.num_priors * 4, out.num_priors * 4, 0.0F);
  }
}

void fill_test(const Record& record, const LoaderOptions& options, int item, Batch& out) {
  const cv::Mat image = read_image(record.image_path);
  describe_image(record, item, {image.rows, image.cols}, out);
  render_whole(image, {options.mean, options.std}, options.image_size,
               out.images.data() + item * image_floats(options));
}

// Any error leaves naming the image.
template <typename Fill>
void naming(const Record& record, const Fill& fill) {
  try {
    fill();
  } catch (const std::exception& error) {
    if (std::string(error.what()).find(record.image_path) != std::string::npos) {
      throw;
    }
    fail("{}: {}", record.image_path, error.what());
  }
}

}  // namespace

TrainLoader::TrainLoader(const Dataset& dataset, const LoaderOptions& options,
                         int64_t start_iteration) {
  check(options);
  cv::setNumThreads(1);
  const int64_t batch_of_all = int64_t{options.batch_size} * options.world_size;
  auto sampler = std::make_shared<ShuffledSampler>(
      dataset.size(), options.seed, epoch_length(dataset.size(), batch_of_all, options.epoch_end));
  const auto position = [options](int64_t batch, int item) {
    return global_position(batch, item, options.batch_size, options.rank, options.world_size);
  };
  BatchQueue::Source source;
  source.first = start_iteration;
  source.open = [options, sampler, position](int64_t batch, Batch& out) {
    open_batch(options, options.batch_size, options.num_priors, out);
    for (int item = 0; item < options.batch_size; ++item) {
      out.indices[item] = sampler->index(position(batch, item));
    }
  };
  source.fill = [options, position, &dataset](int64_t batch, int item, Batch& out) {
    const Record record = dataset.record(out.indices[item]);
    const Random random(options.seed ^ kImageSeed, static_cast<uint64_t>(position(batch, item)));
    naming(record, [&] { fill_training(record, options, random, item, out); });
  };
  queue_ = std::make_unique<BatchQueue>(std::move(source), options.num_workers, options.prefetch,
                                        options.own_threads);
}

TrainLoader::~TrainLoader() = default;

Batch TrainLoader::next() { return *queue_->next(); }

void TrainLoader::recycle(Batch&& batch) { queue_->recycle(std::move(batch)); }

TestLoader::TestLoader(const Dataset& dataset, const LoaderOptions& options) {
  check(options);
  cv::setNumThreads(1);
  const int64_t count = shard_size(dataset.size(), options.rank, options.world_size);
  const int64_t batch_size = options.batch_size;
  BatchQueue::Source source;
  source.end = (count + batch_size - 1) / batch_size;
  source.open = [options, count, batch_size](int64_t batch, Batch& out) {
    const int64_t first = batch * batch_size;
    open_batch(options, std::min(batch_size, count - first), 0, out);
    for (int64_t item = 0; item < out.size; ++item) {
      out.indices[item] = shard_index(first + item, options.rank, options.world_size);
    }
  };
  source.fill = [options, &dataset](int64_t /*batch*/, int item, Batch& out) {
    const Record record = dataset.record(out.indices[item]);
    naming(record, [&] { fill_test(record, options, item, out); });
  };
  queue_ = std::make_unique<BatchQueue>(std::move(source), options.num_workers, options.prefetch,
                                        options.own_threads);
}

TestLoader::~TestLoader() = default;

std::optional<Batch> TestLoader::next() { return queue_->next(); }

void TestLoader::recycle(Batch&& batch) { queue_->recycle(std::move(batch)); }

}  // namespace ssdq
