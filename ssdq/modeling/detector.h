#pragma once

#include <memory>
#include <vector>

#include <torch/types.h>

#include "ssdq/config/config.h"
#include "ssdq/modeling/graph_module.h"

namespace ssdq {

// Raw predictions for P priors, in the order of make_priors.
struct DetectorOutput {
  torch::Tensor class_logits;    // [N, P, C] float, background first
  torch::Tensor box_regression;  // [N, P, 4] float (dx, dy, dw, dh)
};

// An SSD: a graph with heads, whose Output nodes are collected by level and laid out
// location-major.
//
// Initial values, from LibTorch's generator: Kaiming-uniform backbone convolutions, Xavier-uniform
// heads (nodes "head.*"), zero biases, batch norm 1 and 0.
//
// Paper: Liu et al., SSD, ECCV 2016, arXiv:1512.02325.
class DetectorImpl : public GraphModuleImpl {
 public:
  // `methods` may be empty; `quantization` says which convolutions they quantize and how. Throws
  // ConfigError for an impossible graph and Error if the class and box maps of a level disagree.
  DetectorImpl(const Graph& graph, int num_classes, QuantizationMethods methods,
               const QuantizationConfig& quantization);

  // images [N, 3, H, W], any memory format; channels-last needs one copy less of each map.
  DetectorOutput forward(const torch::Tensor& images);
  // The same; `features` becomes the maps that the heads look at, [N, C, H, W] by level.
  DetectorOutput forward_with_features(const torch::Tensor& images,
                                       std::vector<torch::Tensor>& features);

  int num_classes() const { return num_classes_; }
  int64_t num_priors() const { return num_priors_; }

 private:
  void check_maps(const std::vector<Shape>& shapes);
  void reset_parameters();
  DetectorOutput collect(const std::vector<torch::Tensor>& maps) const;

  int num_classes_;
  int64_t num_priors_ = 0;
};
TORCH_MODULE(Detector);

}  // namespace ssdq
