#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "plain_quantization.h"
#include "ssdq/checkpoint/state.h"
#include "ssdq/graph/graph.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/quantization/policy.h"

// The detector of a graph as a PyTorch project writes it: LibTorch's modules, NCHW, activations in
// place. Has no squeeze-and-excite and no upsampling; throws ssdq::Error for graphs with those.
class PlainDetectorImpl : public torch::nn::Module {
 public:
  // `plan` names the convolutions that `method` quantizes.
  PlainDetectorImpl(ssdq::Graph graph, int num_classes, PlainMethod method,
                    const ssdq::QuantizationPlan& plan);

  // Takes the values of the ssdq detector of the same graph.
  void copy_from(const ssdq::State& state);

  ssdq::DetectorOutput forward(const torch::Tensor& images);

 private:
  using Inputs = std::vector<torch::Tensor>;
  using Step = std::function<torch::Tensor(const Inputs&)>;
  struct StepBuilder;

  ssdq::Graph graph_;
  int num_classes_;
  std::vector<Step> steps_;                                     // by node
  std::vector<std::pair<std::string, torch::Tensor>> tensors_;  // by the names that ssdq gives
};
TORCH_MODULE(PlainDetector);
