#include "ssdq/graph/features.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ssdq/utils/error.h"

namespace ssdq {

std::vector<Shape> feature_shapes(const Graph& graph) {
  const std::vector<Shape> shapes = infer_shapes(graph);
  std::vector<Shape> features;
  for (const NodeId id : graph.features) {
    features.push_back(shapes[id]);
  }
  return features;
}

void check_features(const Graph& graph, const std::vector<int>& expected_channels,
                    const std::vector<Size2>& expected_maps,
                    const std::vector<std::pair<std::string, std::size_t>>& list_lengths) {
  const std::string channels_key = "MODEL.BACKBONE.OUT_CHANNELS";
  const std::string maps_key = "MODEL.PRIORS.FEATURE_MAPS";
  const std::vector<Shape> features = feature_shapes(graph);
  std::vector<std::string> problems;
  const auto check_length = [&](const std::string& key, std::size_t length) {
    if (length != features.size()) {
      problems.push_back(fmt::format("{} has {} entries, but the backbone has {} features", key,
                                     length, features.size()));
    }
  };
  if (!expected_channels.empty()) {
    check_length(channels_key, expected_channels.size());
  }
  if (!expected_maps.empty()) {
    check_length(maps_key, expected_maps.size());
  }
  for (const auto& [key, length] : list_lengths) {
    check_length(key, length);
  }
  for (std::size_t i = 0; i < std::min(features.size(), expected_channels.size()); ++i) {
    if (features[i].channels != expected_channels[i]) {
      problems.push_back(fmt::format("{}: level {} has {} channels, but {} says {}",
                                     place(graph.nodes[graph.features[i]]), i, features[i].channels,
                                     channels_key, expected_channels[i]));
    }
  }
  for (std::size_t i = 0; i < std::min(features.size(), expected_maps.size()); ++i) {
    const Size2 got = features[i].size;
    if (got != expected_maps[i]) {
      problems.push_back(fmt::format(
          "{}: level {} is a {}x{} map, but {} says {}x{}", place(graph.nodes[graph.features[i]]),
          i, got.height, got.width, maps_key, expected_maps[i].height, expected_maps[i].width));
    }
  }
  if (!problems.empty()) {
    throw ConfigError(fmt::format("{}", fmt::join(problems, "\n")));
  }
}

}  // namespace ssdq
