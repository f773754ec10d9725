#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "published_nets.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/engine/registries.h"
#include "ssdq/engine/weights_import.h"
#include "ssdq/importing/import_state.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"

namespace ssdq::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Import : public ::testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(5); }

  Experiment experiment(const std::string& config, std::vector<std::string> overrides = {}) {
    overrides.insert(overrides.end(), {"MODEL.DEVICE", "cpu"});
    const auto loaded = load_config(std::string(SSDQ_SOURCE_DIR "/configs/") + config, overrides);
    return build_experiment(loaded.config, loaded.file, registries_);
  }

  // Imports and loads into a detector in evaluation mode; all must fit.
  Detector load(const Experiment& experiment, const PublishedNet& net, const std::string& source) {
    const auto imported = import_state(experiment.graph, net.state(), {});
    EXPECT_EQ(imported.source->name, source);
    EXPECT_TRUE(imported.report.complete()) << describe(imported.report);
    auto detector = build_detector(experiment);
    const auto report = load_state(*detector, imported.tensors);
    EXPECT_TRUE(report.fits()) << describe(report, source);
    detector->eval();
    return detector;
  }

  // That all fits, for networks that are not run.
  void expect_fits(const std::string& config, const PublishedNet& net, const std::string& source) {
    load(experiment(config), net, source);
  }

  Registries registries_ = builtin_registries();
};

double relative_error(const torch::Tensor& found, const torch::Tensor& expected) {
  EXPECT_EQ(found.sizes(), expected.sizes());
  return ((found - expected).abs().max() / expected.abs().max()).item<double>();
}

void expect_outputs(Detector& detector, const torch::Tensor& image, const RawOutputs& expected) {
  const auto found = detector->forward(image);
  EXPECT_LT(relative_error(found.class_logits, expected.classes), 1e-4);
  EXPECT_LT(relative_error(found.box_regression, expected.boxes), 1e-4);
}

TEST_F(Import, LufficcVggGivesTheOutputsOfThePublishedNetwork) {
  const torch::NoGradGuard no_grad;
  const auto net = lufficc_vgg300(21);
  auto detector = load(experiment("vgg_ssd300_voc0712.yaml"), net, "lufficc-vgg");
  const auto image = torch::randn({1, 3, 300, 300});
  const auto expected = run_lufficc_vgg300(net, image, 21);
  expect_outputs(detector, image, expected);
}

TEST_F(Import, CaffeVggGivesTheOutputsOfTheSameNetworkForRgb) {
  const torch::NoGradGuard no_grad;
  const auto net = lufficc_vgg300(21);
  auto detector =
      load(experiment("vgg_ssd300_voc0712.yaml"), caffe_vgg_ssd300(net), "caffe-vgg_ssd");
  const auto image = torch::randn({1, 3, 300, 300});
  const auto expected = run_lufficc_vgg300(net, image, 21);
  expect_outputs(detector, image, expected);
}

// Its separable heads have a bias in front of the batch norm.
TEST_F(Import, PytorchSsdMobileNetV2GivesTheOutputsOfThePublishedNetwork) {
  const torch::NoGradGuard no_grad;
  const auto net = pytorch_ssd_mb2_lite(21);
  auto detector =
      load(experiment("mobilenet_v2_ssd_lite300_voc0712.yaml"), net, "pytorch-ssd-mobilenet");
  const auto image = torch::randn({1, 3, 300, 300});
  const auto expected = run_pytorch_ssd_mb2_lite(net, image, 21);
  expect_outputs(detector, image, expected);
}

TEST_F(Import, TensorFlowSsdLiteGivesTheOutputsOfThePublishedNetwork) {
  const torch::NoGradGuard no_grad;
  const auto net = ncnn_mobilenet_v2_ssdlite(21);
  auto detector =
      load(experiment("mobilenet_v2_ssdlite300_tf_voc.yaml"), net, "ncnn-mobilenet_v2_ssdlite");
  const auto image = torch::rand({1, 3, 300, 300}) * 2 - 1;
  const auto expected = run_ncnn_mobilenet_v2_ssdlite(net, image, 21);
  expect_outputs(detector, image, expected);
}

// With a block of dilated branches; the published weights are in ultralight_test.cpp.
TEST_F(Import, UltralightRfbGivesTheOutputsOfThePublishedNetwork) {
  const torch::NoGradGuard no_grad;
  PublishedNet net;
  const auto image = torch::randn({1, 3, 240, 320});
  const auto expected = run_ultralight_rfb(net, image);
  auto detector = load(experiment("ultralight_rfb320_face.yaml"), net, "ultralight");
  expect_outputs(detector, image, expected);
}

// A file of codes says what its inputs' codes stand for.
TEST_F(Import, ScalesOfCodesBecomeTheRangesOfQuantizers) {
  const torch::NoGradGuard no_grad;
  auto net = ncnn_mobilenet_v2_ssdlite(21);
  net.set("Conv.input_scale", torch::tensor({127.0F}));
  net.set("Conv.weight_scale", torch::ones({32}));
  net.set("conv_3/project.input_scale", torch::tensor({50.8F}));
  net.set("Conv_1_mbox_loc.input_scale", torch::tensor({12.7F}));
  const auto target = experiment("mobilenet_v2_ssdlite300_tf_voc_quan_w8a8.yaml");
  const auto imported = import_state(target.graph, net.state(), {});
  EXPECT_TRUE(imported.report.complete()) << describe(imported.report);
  ASSERT_EQ(imported.input_ranges.size(), 3U);
  EXPECT_NEAR(imported.input_ranges.at("backbone.0"), 1, 1e-6);
  EXPECT_NEAR(imported.input_ranges.at("head.box.1.pw"), 10, 1e-5);

  auto detector = build_detector(target);
  const auto held = set_input_ranges(*detector, imported.input_ranges);
  EXPECT_EQ(held.size(), 3 * 4U);
  EXPECT_EQ(held.count("head.box.1.pw.input_quantizer.max"), 1U);
  detector->eval();
  for (const auto& one : quantizers_of(*detector)) {
    if (one.name == "backbone.0.input_quantizer") {
      const auto x = torch::tensor({-3.0F, -1.2F / 127, 0.4F / 127, 5.6F / 127, 0.999F});
      const auto codes = torch::tensor({-127.0F, -1.0F, 0.0F, 6.0F, 127.0F});
      EXPECT_TRUE(torch::allclose(one.quantizer->forward(x) * 127, codes, 1e-6, 1e-6));
    }
  }
}

TEST_F(Import, FitsEveryPublishedDetector) {
  expect_fits("mobilenet_v1_ssd300_voc0712.yaml", pytorch_ssd_mb1(21, false),
              "pytorch-ssd-mobilenet");
  expect_fits("mobilenet_v1_ssd_lite300_voc0712.yaml", pytorch_ssd_mb1(21, true),
              "pytorch-ssd-mobilenet");
  expect_fits("vgg_ssd300_voc0712.yaml", pytorch_ssd_vgg(21), "pytorch-ssd-vgg16");
  expect_fits("mobilenet_v2_ssd320_voc0712.yaml", lufficc_mobilenet_v2(21), "lufficc-mobilenet_v2");
  expect_fits("vgg_bn_ssd300_voc0712.yaml", pruning_fork_vgg_bn(21), "lufficc-cfg");
  expect_fits("resnet50_ssd300_coco.yaml", nvidia_ssd_resnet50(81), "nvidia-ssd");
}

TEST_F(Import, TorchvisionSsd300FitsVggWithItsClasses) {
  load(experiment("vgg_ssd300_voc0712.yaml", {"MODEL.NUM_CLASSES", "91"}), torchvision_ssd300(91),
       "torchvision-ssd300_vgg16");
}

// NVIDIA's head channel is value * boxes + box.
TEST_F(Import, NvidiaHeadsAreBroughtIntoBoxMajorOrder) {
  const auto net = nvidia_ssd_resnet50(81);
  const auto target = experiment("resnet50_ssd300_coco.yaml");
  const auto imported = import_state(target.graph, net.state(), {});
  const std::map<std::string, torch::Tensor> tensors(imported.tensors.begin(),
                                                     imported.tensors.end());
  for (const auto& [ours, theirs, values] :
       {std::tuple{"head.cls.1", "conf.1", 81}, std::tuple{"head.box.1", "loc.1", 4}}) {
    const int boxes = 6;
    for (int box = 0; box < boxes; ++box) {
      for (int value = 0; value < values; ++value) {
        const auto& weight = tensors.at(std::string(ours) + ".weight");
        const auto& bias = tensors.at(std::string(ours) + ".bias");
        ASSERT_TRUE(torch::equal(weight[box * values + value],
                                 net.at(std::string(theirs) + ".weight")[value * boxes + box]));
        ASSERT_TRUE(torch::equal(bias[box * values + value],
                                 net.at(std::string(theirs) + ".bias")[value * boxes + box]));
      }
    }
  }
}

// Of a classifier the layers behind the cfg's backbone=1 are not asked for.
TEST_F(Import, ClassifiersFitTheBackbonesOfTheirKind) {
  ImportOptions options;
  options.backbone_only = true;
  for (const auto& [config, net, source] :
       {std::tuple{"vgg_ssd300_voc0712.yaml", vgg16_reducedfc(), "vgg16_reducedfc"},
        std::tuple{"resnet18_ssd300_coco.yaml", torchvision_resnet({2, 2, 2, 2}, false),
                   "torchvision-resnet"},
        std::tuple{"resnet34_ssd300_coco.yaml", torchvision_resnet({3, 4, 6, 3}, false),
                   "torchvision-resnet"},
        std::tuple{"resnet50_ssd300_coco.yaml", torchvision_resnet({3, 4, 6, 3}, true),
                   "torchvision-resnet"}}) {
    const auto target = experiment(config);
    const auto imported = import_state(target.graph, net.state(), options);
    EXPECT_EQ(imported.source->name, source);
    EXPECT_TRUE(imported.report.complete()) << config << ": " << describe(imported.report);
    auto detector = build_detector(target);
    const auto report = load_state(*detector, imported.tensors);
    EXPECT_THAT(report.unexpected, IsEmpty()) << config;
    EXPECT_THAT(report.mismatched, IsEmpty()) << config;
  }
}

// The layers in front of the detector's own, with what the classifier has behind them.
TEST_F(Import, CaffesVggIsAClassifierForRgb) {
  const auto detector = caffe_vgg_ssd300(lufficc_vgg300(21));
  PublishedNet net;
  for (const auto& [name, tensor] : detector.state()) {
    const std::string layer = name.substr(0, name.find('.'));
    if (layer.size() == 7 ? layer[4] < '6' : layer == "fc6" || layer == "fc7") {
      net.set(name, tensor);
    }
  }
  net.matrix("fc8", 10, 1024);
  ImportOptions options;
  options.backbone_only = true;
  const auto imported =
      import_state(experiment("vgg_ssd300_voc0712.yaml").graph, net.state(), options);
  EXPECT_EQ(imported.source->name, "caffe-vgg16_reducedfc");
  EXPECT_TRUE(imported.report.complete()) << describe(imported.report);
  EXPECT_EQ(imported.tensors.size(), 30U);
  const std::map<std::string, torch::Tensor> tensors(imported.tensors.begin(),
                                                     imported.tensors.end());
  EXPECT_TRUE(torch::equal(tensors.at("backbone.0.weight"), net.at("conv1_1.weight").flip({1})));
}

// fc6: rows 0, 4, 8, ... and of the 7x7 map rows and columns 0, 3, 6.
TEST_F(Import, TorchvisionVggBnGivesItsFullyConnectedLayersAsConvolutions) {
  const auto net = torchvision_vgg16(true);
  ImportOptions options;
  options.backbone_only = true;
  const auto imported =
      import_state(experiment("vgg_ssd300_voc0712.yaml").graph, net.state(), options);
  EXPECT_EQ(imported.source->name, "torchvision-vgg16");
  EXPECT_TRUE(imported.report.complete()) << describe(imported.report);
  const std::map<std::string, torch::Tensor> tensors(imported.tensors.begin(),
                                                     imported.tensors.end());
  const auto& fc6 = tensors.at("backbone.18.weight");
  const auto full = net.at("classifier.0.weight").view({4096, 512, 7, 7});
  EXPECT_TRUE(torch::equal(fc6[5][7][1][2], full[20][7][3][6]));
  EXPECT_TRUE(torch::equal(fc6[1023][511][2][0], full[4092][511][6][0]));
  EXPECT_TRUE(torch::equal(tensors.at("backbone.19.weight")[3][9][0][0],
                           net.at("classifier.3.weight")[12][36]));
  EXPECT_TRUE(torch::equal(tensors.at("backbone.19.bias")[3], net.at("classifier.3.bias")[12]));

  // The batch norm of the file, which vgg_ssd300.cfg has not, is folded.
  const auto x = torch::randn({1, 3, 9, 9});
  const auto expected = net.run_batch_norm(net.run_conv(x, "features.0", 1, 1), "features.1");
  const auto found =
      torch::conv2d(x, tensors.at("backbone.0.weight"), tensors.at("backbone.0.bias"), 1, 1);
  EXPECT_LT(relative_error(found, expected), 1e-5);
}

// A network with batch norms takes a file in which they have been folded.
TEST_F(Import, AFoldedFileGivesBatchNormsThatAddTheBias) {
  auto net = pruning_fork_vgg_bn(21);
  for (const char* tensor :
       {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}) {
    net.erase(std::string("backbone.module_list.0.BatchNorm2d.") + tensor);
  }
  auto detector = load(experiment("vgg_bn_ssd300_voc0712.yaml"), net, "lufficc-cfg");
  const auto x = torch::randn({1, 3, 9, 9});
  const auto expected = torch::relu(net.run_conv(x, "backbone.module_list.0.Conv2d", 1, 1));
  auto block = detector->convolutions().front().second;
  EXPECT_LT(relative_error(block->forward(x), expected), 1e-5);
}

TEST_F(Import, ReportsWhatIsMissingUnexpectedAndOfAnotherShape) {
  auto net = lufficc_vgg300(21);
  net.erase("backbone.vgg.12.weight");
  net.set("backbone.vgg.99.weight", torch::ones({2, 3}));
  net.set("backbone.vgg.33.bias", torch::ones({7}));
  const auto target = experiment("vgg_ssd300_voc0712.yaml");
  const auto imported = import_state(target.graph, net.state(), {});
  const auto& report = imported.report;
  EXPECT_THAT(report.missing, ElementsAre("backbone.7.weight (backbone.vgg.12.weight)"));
  EXPECT_THAT(report.unexpected, ElementsAre("backbone.vgg.99.weight [2, 3]"));
  EXPECT_THAT(report.reshaped, ElementsAre("backbone.19.bias: backbone.vgg.33.bias is [7] in the "
                                           "file, expected [1024]"));
  try {
    check_complete(imported, "x.pth");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("x.pth: read as lufficc-vgg"));
    EXPECT_THAT(error.what(), HasSubstr("1 missing, 1 unexpected, 1 of another shape"));
  }
}

TEST_F(Import, AllowedMissingTensorsAreNotAnError) {
  auto net = lufficc_vgg300(21);
  net.erase("backbone.l2_norm.weight");
  ImportOptions options;
  options.allow_missing = {"*.l2_norm.*"};
  const auto imported =
      import_state(experiment("vgg_ssd300_voc0712.yaml").graph, net.state(), options);
  EXPECT_TRUE(imported.report.complete());
  EXPECT_EQ(imported.report.allowed.size(), 1U);
}

TEST_F(Import, ClassHeadsOfOtherClassesCanBeReset) {
  const auto net = lufficc_vgg300(81);
  const auto graph = experiment("vgg_ssd300_voc0712.yaml").graph;
  const auto strict = import_state(graph, net.state(), {});
  EXPECT_EQ(strict.report.reshaped.size(), 12U);
  try {
    check_complete(strict, "x.pth");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("reset 'head.cls.*'"));
  }
  ImportOptions options;
  options.reset = {"head.cls.*"};
  const auto reset = import_state(graph, net.state(), options);
  EXPECT_TRUE(reset.report.complete()) << describe(reset.report);
  EXPECT_EQ(reset.report.reset.size(), 12U);
}

TEST_F(Import, UnknownAndAmbiguousNamesAreRefusedWithTheSources) {
  const auto message = [](const State& state) -> std::string {
    try {
      return detect_source(state).name;
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(message({{"encoder.weight", torch::ones({1})}}), HasSubstr("lufficc-vgg, "));
  EXPECT_THAT(message({{"backbone.vgg.0.weight", torch::ones({1})},
                       {"backbone.module_list.0.Conv2d.weight", torch::ones({1})}}),
              HasSubstr("both of lufficc-vgg and of lufficc-cfg"));
  EXPECT_THROW(find_import_source("lufficc-vg"), ConfigError);
}

// A Sequential with other layers is not vgg16_reducedfc.
TEST_F(Import, ShapesTellSourcesApart) {
  auto net = vgg16_reducedfc();
  EXPECT_EQ(detect_source(net.state()).name, "vgg16_reducedfc");
  net.set("31.weight", torch::ones({10, 10}));
  EXPECT_THROW(detect_source(net.state()), Error);
}

}  // namespace
}  // namespace ssdq::testing
