#include <cstdlib>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../utils/temp_folder.h"
#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"
#include "ssdq/engine/weights.h"
#include "ssdq/modeling/state.h"

namespace ssdq::testing {
namespace {

// Networks that torchvision itself makes and runs (Debian's python3-torchvision).
class Torchvision : public ::testing::Test {
 protected:
  void make(const std::string& name) {
    if (std::system("/usr/bin/python3 -c 'import torchvision' > /dev/null 2>&1") != 0) {
      GTEST_SKIP() << "no python3-torchvision";
    }
    const std::string command = "/usr/bin/python3 " SSDQ_SOURCE_DIR
                                "/tests/importing/torchvision_nets.py " +
                                name + " " + folder_.path();
    ASSERT_EQ(std::system(command.c_str()), 0);
    weights_ = folder_ / (name + ".pth");
    for (const auto& [key, tensor] : read_pytorch(folder_ / "outputs.pth").tensors) {
      outputs_[key] = tensor;
    }
  }

  Experiment experiment(const std::string& config, std::vector<std::string> overrides) {
    overrides.insert(overrides.end(), {"MODEL.DEVICE", "cpu"});
    const auto loaded = load_config(std::string(SSDQ_SOURCE_DIR "/configs/") + config, overrides);
    return build_experiment(loaded.config, loaded.file, registries_);
  }

  // Both raw outputs of the detector with the imported weights, against torchvision's.
  void expect_raw_outputs(const std::string& config) {
    const torch::NoGradGuard no_grad;
    const auto target = experiment(config, {"MODEL.WEIGHTS", weights_});
    auto detector = build_detector(target);
    load_initial_weights(detector, target);
    detector->eval();
    const auto found = detector->forward(outputs_.at("image"));
    for (const auto& [mine, name] :
         {std::pair{found.class_logits, "classes"}, std::pair{found.box_regression, "boxes"}}) {
      const auto& expected = outputs_.at(name);
      ASSERT_EQ(mine.sizes(), expected.sizes());
      EXPECT_LT(((mine - expected).abs().max() / expected.abs().max()).item<double>(), 1e-4)
          << name;
    }
  }

  // The output of that node, with the imported weights, against torchvision's features.
  void expect_features(const std::string& config, const std::string& node) {
    const torch::NoGradGuard no_grad;
    const auto target = experiment(
        config, {"MODEL.BACKBONE.WEIGHTS", weights_, "MODEL.BACKBONE.PRETRAINED", "true"});
    auto detector = build_detector(target);
    load_initial_weights(detector, target);
    detector->eval();
    // The backbone alone, at the size of the image.
    const NodeId last = target.graph.find(node);
    auto sized = target.graph;
    sized.nodes.front().op = Input{3, {64, 64}};
    sized.nodes.resize(static_cast<size_t>(last) + 1);
    activate_before_gates(sized);
    GraphModule module(sized, infer_shapes(sized), GraphQuantization{}, std::vector<NodeId>{last});
    load_state(*module, state(*detector));
    module->eval();
    const auto found = module->run(outputs_.at("image")).front();
    const auto& expected = outputs_.at("features");
    ASSERT_EQ(found.sizes(), expected.sizes());
    EXPECT_LT(((found - expected).abs().max() / expected.abs().max()).item<double>(), 1e-4);
  }

  // torchvision's squeeze-excite follows the activation, that of the shipped cfg is in front of it.
  static void activate_before_gates(Graph& graph) {
    for (Node& node : graph.nodes) {
      if (auto* gate = std::get_if<SqueezeExcite>(&node.op)) {
        std::get<Conv>(graph.nodes[node.inputs.front()].op).activation = gate->activation;
        gate->activation = Activation::kLinear;
      }
    }
  }

  TempFolder folder_;
  std::string weights_;
  std::map<std::string, torch::Tensor> outputs_;
  Registries registries_ = builtin_registries();
};

#define SSDQ_MAKE(name)    \
  make(name);              \
  if (IsSkipped()) return; \
  ASSERT_FALSE(HasFatalFailure())

TEST_F(Torchvision, Ssd300GivesTorchvisionsRawOutputs) {
  SSDQ_MAKE("ssd300_vgg16");
  expect_raw_outputs("vgg_ssd300_voc0712.yaml");
}

TEST_F(Torchvision, SsdLite320GivesTorchvisionsRawOutputs) {
  SSDQ_MAKE("ssdlite320_mobilenet_v3_large");
  expect_raw_outputs("mobilenet_v3_ssdlite320_torchvision_voc0712.yaml");
}

TEST_F(Torchvision, MobileNetV2GivesItsFeaturesAsABackbone) {
  SSDQ_MAKE("mobilenet_v2");
  expect_features("mobilenet_v2_ssd320_voc0712.yaml", "backbone.61");
}

// With its batch norms of epsilon 0.001 in a network of 0.00001.
TEST_F(Torchvision, MobileNetV3GivesItsFeaturesAsABackbone) {
  SSDQ_MAKE("mobilenet_v3_large");
  expect_features("mobilenet_v3_ssd320_voc0712.yaml", "backbone.63");
}

}  // namespace
}  // namespace ssdq::testing
