#include "ssdq/engine/inference.h"

#include <algorithm>
#include <utility>

#include <torch/torch.h>
#include <opencv2/imgproc.hpp>

#include "ssdq/data/loader.h"
#include "ssdq/data/transforms/render.h"
#include "ssdq/distributed/gather_detections.h"
#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/device.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

std::vector<Detections> detect_batch(Detector& detector, const PostProcessor& post_processor,
                                     const torch::Tensor& images, const std::vector<Size2>& sizes) {
  const torch::NoGradGuard no_grad;
  const DetectorOutput output = detector->forward(images);
  const auto logits = output.class_logits.to(torch::kCPU, torch::kFloat32).contiguous();
  const auto boxes = output.box_regression.to(torch::kCPU, torch::kFloat32).contiguous();
  return post_processor.run(logits.data_ptr<float>(), boxes.data_ptr<float>(), sizes,
                            torch::get_num_threads());
}

EvaluationResult evaluate_on(Detector& detector, const Experiment& experiment,
                             const std::string& name) {
  const auto dataset = open_datasets(experiment, {name}, /*training=*/false);
  const auto evaluator = make_evaluator(resolve_metric(experiment.config.test.metric, *dataset),
                                        dataset->class_names());
  std::vector<IndexedDetections> own;
  run_inference(detector, experiment, *dataset, [&](int64_t index, const Detections& detections) {
    own.push_back({index, detections});
  });
  if (experiment.ranks) {
    own = gather_detections(*experiment.ranks->group, own, dataset->size());
  }
  for (const auto& [index, detections] : own) {
    evaluator->add(dataset->record(index), detections);
  }
  return {name, evaluator->evaluate()};
}

}  // namespace

Detections detect(Detector& detector, const PostProcessor& post_processor,
                  const Experiment& experiment, const cv::Mat& rgb) {
  const InputConfig& input = experiment.config.input;
  Batch batch;
  batch.size = 1;
  batch.image_size = input.image_size;
  batch.images.resize(static_cast<size_t>(input.image_size.height) * input.image_size.width * 3);
  render_whole(rgb, {rgb_floats(input.pixel_mean), rgb_floats(input.pixel_std)}, input.image_size,
               batch.images.data());
  const auto images = images_of(batch, experiment);
  return detect_batch(detector, post_processor, images, {{rgb.rows, rgb.cols}}).front();
}

void run_inference(Detector& detector, const Experiment& experiment, const Dataset& dataset,
                   const DetectionSink& sink) {
  detector->eval();
  const PostProcessor post_processor = build_post_processor(experiment);
  TestLoader loader(dataset, loader_options(experiment, experiment.config.test.batch_size));
  while (auto batch = loader.next()) {
    const auto images = images_of(*batch, experiment);
    const auto detections = detect_batch(detector, post_processor, images, batch->original_sizes);
    for (size_t i = 0; i < detections.size(); ++i) {
      sink(batch->indices[i], detections[i]);
    }
    loader.recycle(std::move(*batch));
  }
}

std::vector<EvaluationResult> evaluate(Detector& detector, const Experiment& experiment) {
  Detector measured = detector;
  if (experiment.config.test.bn_fuse) {
    measured = build_detector(experiment);
    measured->eval();
    copy_quantizer_settings(*detector, *measured);
    load_state(*measured, state(*detector));
    measured->fold_batch_norm();
  }
  std::vector<EvaluationResult> results;
  for (const auto& name : experiment.config.datasets.test) {
    results.push_back(evaluate_on(measured, experiment, name));
  }
  return results;
}

std::string resolve_metric(const std::string& metric, const Dataset& dataset) {
  if (metric != "auto") {
    return metric;
  }
  return dataset.format() == "coco" ? "coco" : "voc_area";
}

}  // namespace ssdq
