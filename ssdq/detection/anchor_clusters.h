#pragma once

#include <cstdint>
#include <vector>

#include "ssdq/detection/anchor_statistics.h"

namespace ssdq {

struct ClusterOptions {
  int clusters = 1;
  uint64_t seed = 0;
  int restarts = 5;
  int iterations = 100;  // at most, of each restart
};

struct ShapeClusters {
  std::vector<BoxShape> centers;  // by rising area
  std::vector<int64_t> members;   // of each centre
  double mean_iou = 0;            // of each shape with its centre
  std::vector<double> history;    // mean IoU of the winning restart, by iteration: never falls
};

// k-means with the distance 1 - IoU of centred boxes (Redmon and Farhadi, YOLO9000, CVPR 2017):
// k-means++ starts, the best of several restarts; the same seed gives the same clusters. Means do
// not minimise this distance, so that a centre is moved only where the mean IoU of its members
// rises: to their means, their medians, or a few per cent wider or higher. Of more than 20,000
// shapes the restarts see an evenly spaced part, and the best goes on with all of them. When there
// are fewer different shapes than clusters, each is a centre. Throws ConfigError when there are
// more clusters than shapes, or less than one.
ShapeClusters cluster_shapes(const std::vector<BoxShape>& shapes, const ClusterOptions& options);

}  // namespace ssdq
