#pragma once

#include <ostream>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "../modeling/graph_builder.h"
#include "ssdq/export/export_model.h"
#include "ssdq/quantization/build.h"
#include "testing_state.h"

namespace ssdq::testing {

// A method with widths and options; `weight_type` is that in the file of integers.
struct QuantizedCase {
  std::string name, type;
  int wbits, abits;
  Options options;
  std::string final_layer = "true";
  std::string weight_type;
};

inline void PrintTo(const QuantizedCase& how, std::ostream* out) { *out << how.name; }

// A signed image, depthwise, groups, strides, SAME padding with its odd column,
// dilation, every activation with a requantization, a
// pool and a sum.
inline Graph quantized_graph() {
  Graph graph;
  append(graph, "input", Input{3, {17, 14}});
  append(graph, "backbone.0", conv(8, 3, 1, true), {0});
  Conv depthwise = conv(8, 3, 2, true, Activation::kRelu6);
  depthwise.groups = 8;
  depthwise.same_padding = true;
  append(graph, "backbone.1", depthwise, {1});
  append(graph, "backbone.2", conv(12, 1, 1, true, Activation::kLinear), {2});
  append(graph, "backbone.3", conv(12, 3, 1, true, Activation::kLinear), {3});
  append(graph, "backbone.4", Add{Activation::kRelu}, {3, 4});
  append(graph, "backbone.5", Pool{PoolKind::kMax, false, {2, 2}, {2, 2}}, {5});
  Conv dilated = conv(8, 3, 1, true);
  dilated.dilation = dilated.padding = {2, 2};
  dilated.groups = 2;
  append(graph, "backbone.6", dilated, {6});
  append(graph, "backbone.7", Pool{PoolKind::kMax, false, {2, 2}, {2, 2}}, {7});
  append(graph, "head.cls.0", conv(6, 3, 1, false, Activation::kLinear), {8});
  append(graph, "head.cls.0.out", Output{OutputRole::kClass, 0}, {9});
  append(graph, "head.box.0", conv(8, 3, 1, false, Activation::kLinear), {8});
  append(graph, "head.box.0.out", Output{OutputRole::kBox, 0}, {11});
  graph.features = {8};
  return graph;
}

// Methods and widths that have codes. Nothing is refused by the integer formats.
inline std::vector<QuantizedCase> quantized_cases() {
  return {
      {"uniform_w8a8", "uniform", 8, 8, {}, "true", "int8"},
      {"uniform_w4a4", "uniform", 4, 4, {}, "true", "int4"},
      {"uniform_asymmetric", "uniform", 2, 3, {{"ACTIVATION_SYMMETRIC", "false"}}, "true", "int2"},
      {"uniform_signed", "uniform", 8, 8, {{"ACTIVATION_CODES", "signed"}}, "true", "int8"},
      {"iao_w8a8", "iao", 8, 8, {}, "true", "int8"},
      {"iao_affine", "iao", 5, 8, {{"SYMMETRIC", "false"}}, "true", "uint5"},
      {"iao_tensor", "iao", 6, 6, {{"WEIGHT_GRANULARITY", "tensor"}}, "true", "int6"},
      {"lsq_w4a4", "lsq", 4, 4, {}, "false", "int4"},
      {"lsq_channel", "lsq", 7, 8, {{"WEIGHT_GRANULARITY", "channel"}}, "true", "int7"},
      {"lsq_plus_w4a8", "lsq_plus", 4, 8, {}, "true", "int4"},
      {"pact_w4a4", "pact", 4, 4, {}, "true", "int4"},
      {"tqt_w8a8", "tqt", 8, 8, {}, "true", "int8"},
      {"dorefa_w3a4", "dorefa", 3, 4, {}, "true", "int3"},
      {"dorefa_rescaled", "dorefa", 8, 8, {{"RESCALE_OUTPUT", "true"}}, "true", "int8"},
      {"bwn_binary", "bwn", 2, 32, {}, "true", "uint1"},
      {"bwn_ternary", "bwn", 3, 32, {}, "true", "int2"}};
}

// That network with ranges from random data, and negative and positive batch norm scales.
struct QuantizedNet {
  QuantizerRegistry registry;
  ExportModel model;
  Detector detector{nullptr};
  torch::Tensor image;

  explicit QuantizedNet(const QuantizedCase& how) {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(11);
    register_quantizers(registry);
    QuantizationConfig& config = model.config.quantization;
    config.type = how.type;
    config.wbits = how.wbits;
    config.abits = how.abits;
    config.options = how.options;
    config.layers = "all";
    config.final_layer = how.final_layer;
    config.merge_inputs = "separate";
    model.config.model.num_classes = 3;
    model.graph = quantized_graph();
    model.priors.assign(4, {0.5F, 0.5F, 0.25F, 0.75F});
    detector = Detector(model.graph, 3, quantization_methods(registry, config), config);
    randomise(*detector);
    detector->train();
    for (int i = 0; i < 4; ++i) {
      detector->run(torch::randn({4, 3, 17, 14}));
    }
    detector->eval();
    for (const auto& entry : detector->convolutions()) {
      if (!entry.second->bn.is_empty()) {
        ConvBlock(entry.second)
            ->bn->weight.mul_(
                torch::randint(0, 4, entry.second->bn->weight.sizes()).sub(0.5).sign());
      }
    }
    image = torch::randn({1, 3, 17, 14});
    model.detector = [this] { return detector; };
  }
};

}  // namespace ssdq::testing
