#include "ssdq/detection/anchor_clusters.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using Shapes = std::vector<BoxShape>;

constexpr double kLeastGain = 1e-6;
constexpr size_t kMostStarted = 20000;  // shapes that restarts look at
constexpr int kFinalIterations = 20;    // on all shapes, when there are more

// [0, 1), the same on every platform.
double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// Index drawn in proportion to the weights, whose sum is positive.
size_t draw(const std::vector<double>& weights, std::mt19937_64& random) {
  double left = uniform(random) * std::accumulate(weights.begin(), weights.end(), 0.0);
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) {
      last = i;
      if (left < weights[i]) break;
      left -= weights[i];
    }
  }
  return last;
}

// Fewer than `count` when the shapes have fewer different values.
Shapes start_centers(const Shapes& shapes, int count, std::mt19937_64& random) {
  std::vector<double> weights(shapes.size(), 1);
  Shapes centers;
  while (static_cast<int>(centers.size()) < count) {
    const BoxShape center = shapes[draw(weights, random)];
    centers.push_back(center);
    bool any = false;
    for (size_t i = 0; i < shapes.size(); ++i) {
      const double distance = std::max(0.0, 1.0 - shape_iou(shapes[i], center));
      const bool same = shapes[i].width == center.width && shapes[i].height == center.height;
      const double weight = same ? 0 : distance * distance;
      weights[i] = centers.size() == 1 ? weight : std::min(weights[i], weight);
      any = any || weights[i] > 0;
    }
    if (!any) break;
  }
  return centers;
}

double total_iou(const Shapes& members, const BoxShape& center) {
  double sum = 0;
  for (const BoxShape& shape : members) {
    sum += shape_iou(shape, center);
  }
  return sum;
}

BoxShape mean(const Shapes& members) {
  double width = 0, height = 0;
  for (const BoxShape& shape : members) {
    width += shape.width;
    height += shape.height;
  }
  const auto count = static_cast<double>(members.size());
  return {static_cast<float>(width / count), static_cast<float>(height / count)};
}

float median(const Shapes& members, float BoxShape::*side) {
  std::vector<float> sides;
  for (const BoxShape& shape : members) {
    sides.push_back(shape.*side);
  }
  const auto middle = sides.begin() + static_cast<std::ptrdiff_t>(sides.size() / 2);
  std::nth_element(sides.begin(), middle, sides.end());
  return *middle;
}

// A centre at least as good for its members as `old`.
BoxShape improved_center(const Shapes& members, const BoxShape& old) {
  BoxShape best = old;
  double best_total = total_iou(members, old);
  const auto consider = [&](const BoxShape& center) {
    const double total = total_iou(members, center);
    const bool better = total > best_total;
    if (better) {
      best = center;
      best_total = total;
    }
    return better;
  };
  consider(mean(members));
  consider({median(members, &BoxShape::width), median(members, &BoxShape::height)});
  for (const float step : {1.1F, 1.03F, 1.01F, 1.003F}) {
    for (const float factor : {step, 1 / step}) {
      while (consider({best.width * factor, best.height})) {
      }
      while (consider({best.width, best.height * factor})) {
      }
    }
  }
  return best;
}

struct Assignment {
  std::vector<Shapes> members;  // by centre
  double mean_iou = 0;
};

Assignment assign(const Shapes& shapes, const Shapes& centers) {
  Assignment result;
  result.members.resize(centers.size());
  for (const BoxShape& shape : shapes) {
    size_t nearest = 0;
    float best = -1;
    for (size_t c = 0; c < centers.size(); ++c) {
      const float iou = shape_iou(shape, centers[c]);
      if (iou > best) {
        best = iou;
        nearest = c;
      }
    }
    result.members[nearest].push_back(shape);
    result.mean_iou += best;
  }
  result.mean_iou /= static_cast<double>(shapes.size());
  return result;
}

ShapeClusters run(const Shapes& shapes, Shapes centers, int iterations) {
  ShapeClusters result;
  Assignment assignment = assign(shapes, centers);
  result.history.push_back(assignment.mean_iou);
  for (int i = 0; i < iterations; ++i) {
    Shapes moved = centers;
    for (size_t c = 0; c < centers.size(); ++c) {
      if (!assignment.members[c].empty()) {
        moved[c] = improved_center(assignment.members[c], centers[c]);
      }
    }
    Assignment next = assign(shapes, moved);
    if (next.mean_iou <= assignment.mean_iou + kLeastGain) break;
    centers = std::move(moved);
    assignment = std::move(next);
    result.history.push_back(assignment.mean_iou);
  }
  std::vector<size_t> order(centers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return centers[a].area() < centers[b].area(); });
  for (const size_t c : order) {
    result.centers.push_back(centers[c]);
    result.members.push_back(static_cast<int64_t>(assignment.members[c].size()));
  }
  result.mean_iou = assignment.mean_iou;
  return result;
}

Shapes sampled(const Shapes& shapes) {
  const size_t step = (shapes.size() + kMostStarted - 1) / kMostStarted;
  Shapes result;
  for (size_t i = 0; i < shapes.size(); i += step) {
    result.push_back(shapes[i]);
  }
  return result;
}

}  // namespace

ShapeClusters cluster_shapes(const std::vector<BoxShape>& shapes, const ClusterOptions& options) {
  SSDQ_CHECK_CONFIG(options.clusters >= 1 && options.clusters <= static_cast<int>(shapes.size()),
                    "{} clusters of {} boxes; expected a number from 1 to that of the boxes",
                    options.clusters, shapes.size());
  const bool few =
      shapes.size() <= kMostStarted || options.clusters > static_cast<int>(kMostStarted / 2);
  const Shapes started = few ? shapes : sampled(shapes);
  std::mt19937_64 random(options.seed);
  ShapeClusters best;
  for (int i = 0; i < std::max(1, options.restarts); ++i) {
    ShapeClusters result =
        run(started, start_centers(started, options.clusters, random), options.iterations);
    if (i == 0 || result.mean_iou > best.mean_iou) {
      best = std::move(result);
    }
  }
  return few ? best : run(shapes, best.centers, std::min(options.iterations, kFinalIterations));
}

}  // namespace ssdq
