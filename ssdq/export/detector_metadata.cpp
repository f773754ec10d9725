#include "ssdq/export/detector_metadata.h"

#include <vector>

#include <nlohmann/json.hpp>

#include "ssdq/export/export_model.h"

namespace ssdq {
namespace {

using nlohmann::json;

std::string text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::map<std::string, std::string> detector_metadata(const ExportModel& model, OnnxHeads heads) {
  const Config& config = model.config;
  const Size2 size = config.input.image_size;
  std::map<std::string, std::string> metadata = {
      {"outputs", to_string(heads)},
      {"input_size", text({size.height, size.width})},
      {"color_order", "RGB"},
      {"pixel_mean", text(config.input.pixel_mean)},
      {"pixel_std", text(config.input.pixel_std)},
      {"num_classes", text(config.model.num_classes)},
      {"scores", config.model.box_head.scores},
      {"num_priors", text(model.priors.size())},
      {"center_variance", text(config.model.center_variance)},
      {"size_variance", text(config.model.size_variance)},
      {"confidence_threshold", text(config.test.confidence_threshold)},
      {"nms_threshold", text(config.test.nms_threshold)},
      {"candidates_per_class", text(config.test.candidates_per_class)},
      {"max_per_class", text(config.test.max_per_class)},
      {"max_per_image", text(config.test.max_per_image)}};
  if (!model.class_names.empty()) {
    std::vector<std::string> names = {"background"};
    names.insert(names.end(), model.class_names.begin(), model.class_names.end());
    metadata["class_names"] = text(names);
  }
  return metadata;
}

}  // namespace ssdq
