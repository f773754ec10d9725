#include "ssdq/engine/samples.h"

#include <algorithm>

#include "ssdq/data/image_reader.h"
#include "ssdq/engine/inference.h"
#include "ssdq/visualization/draw.h"
#include "ssdq/visualization/image_io.h"

namespace ssdq {
namespace {

constexpr int64_t kNumSamples = 4;
constexpr float kSampleScore = 0.5F;

}  // namespace

void put_sample_images(Detector& detector, const Experiment& experiment, EventStorage& events) {
  detector->eval();
  const PostProcessor post_processor = build_post_processor(experiment);
  DrawOptions draw;
  draw.score_threshold = kSampleScore;
  for (const auto& name : experiment.config.datasets.test) {
    const auto dataset = open_datasets(experiment, {name}, /*training=*/false);
    for (int64_t i = 0; i < std::min(kNumSamples, dataset->size()); ++i) {
      const Record record = dataset->record(i);
      const cv::Mat rgb = read_image(record.image_path);
      const auto found = detect(detector, post_processor, experiment, rgb);
      const cv::Mat drawn =
          draw_detections(rgb, found, dataset->class_names(), draw, record.objects);
      events.put_image("samples/" + record.image_id, encode_png(drawn), drawn.cols, drawn.rows);
    }
  }
}

}  // namespace ssdq
