#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../checkpoint/caffe_testing.h"
#include "../e2e/process.h"
#include "../utils/temp_folder.h"
#include "published_nets.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/utils/strings.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kConfig = SSDQ_SOURCE_DIR "/configs/mobilenet_v2_ssd320_voc0712.yaml";

class ImportWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(5);
    net_ = lufficc_mobilenet_v2(21);
    write_pytorch(input_, net_.state());
  }

  ProcessResult import(std::vector<std::string> arguments, bool config = true) const {
    arguments.insert(arguments.begin(), {"--weights", input_, "--output", output_});
    if (config) {
      arguments.insert(arguments.begin(), {"--config-file", kConfig});
    }
    return run_tool("import_weights", arguments);
  }

  PublishedNet net_;
  TempFolder folder_;
  const std::string input_ = folder_ / "mb2.pth";
  const std::string output_ = folder_ / "mb2.safetensors";
};

TEST_F(ImportWeights, ListsAndConvertsWithoutAConfiguration) {
  const auto result = import({}, false);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("backbone.features.0.0.weight"));
  EXPECT_THAT(result.output, HasSubstr("[32, 3, 3, 3]"));
  const auto file = load_checkpoint(output_);
  EXPECT_TRUE(file.weights_only);
  EXPECT_EQ(describe_differences(net_.state(), file.model), "");
}

TEST_F(ImportWeights, WritesACheckpointWithItsNetworkAndReplacesItOnlyWhenForced) {
  const auto first = import({});
  EXPECT_EQ(first.status, 0) << first.output;
  EXPECT_THAT(first.output, HasSubstr(" 0 missing, 0 unexpected, 0 of another shape"));
  const auto checkpoint = load_checkpoint(output_);
  EXPECT_FALSE(checkpoint.weights_only);
  EXPECT_THAT(checkpoint.graph_cfg, HasSubstr("[depthwise]"));
  EXPECT_THAT(checkpoint.config_yaml, HasSubstr("NUM_CLASSES: 21"));
  for (const auto& [name, tensor] : checkpoint.model) {
    if (name == "backbone.0.weight") {
      EXPECT_TRUE(torch::equal(tensor, net_.at("backbone.features.0.0.weight")));
    }
  }
  const auto second = import({});
  EXPECT_EQ(second.status, 2);
  EXPECT_THAT(second.output, HasSubstr("add --force"));
  EXPECT_EQ(import({"--force"}).status, 0);
}

TEST_F(ImportWeights, SaysInOneSentenceWhatIsWrong) {
  const auto classes = import({"MODEL.NUM_CLASSES", "4"});
  EXPECT_EQ(classes.status, 1);
  EXPECT_THAT(classes.output, HasSubstr("reset 'head.cls.*'"));
  EXPECT_EQ(import({"--reset", "head.cls.*", "MODEL.NUM_CLASSES", "4"}).status, 0);
  const auto source = import({"--force", "--source", "lufficc-vg"});
  EXPECT_EQ(source.status, 2);
  EXPECT_THAT(source.output, HasSubstr("did you mean 'lufficc-vgg'"));
  EXPECT_EQ(import({"--force", "SOLVER.LR", "1"}, false).status, 2);
}

TEST(ImportWeightsOfCaffe, NeedsAPrototxt) {
  const TempFolder folder;
  const std::string weights = folder / "net.caffemodel";
  write_text(weights, caffemodel({{"conv", "Convolution", {{{2, 3, 1, 1}}, {{2}}}},
                                  {"fc8", "InnerProduct", {{{1, 2}}}}}));
  write_text(folder / "net.prototxt",
             "input: \"data\" input_dim: [1, 3, 8, 8]\n"
             "layer { name: \"conv\" type: \"Convolution\" bottom: \"data\" top: \"conv\"\n"
             "  convolution_param { num_output: 2 kernel_size: 1 } }\n");
  const auto refused = run_tool("import_weights", {"--weights", weights});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("--prototxt is missing"));
  const std::string output = folder / "net.safetensors";
  const auto converted = run_tool("import_weights", {"--weights", weights, "--prototxt",
                                                     folder / "net.prototxt", "--output", output});
  EXPECT_EQ(converted.status, 0) << converted.output;
  EXPECT_THAT(converted.output, HasSubstr("the prototxt has not these layers of the file: fc8"));
  EXPECT_THAT(converted.output, HasSubstr("conv.weight"));
  EXPECT_EQ(load_checkpoint(output).model.size(), 2U);
  const auto misplaced =
      run_tool("import_weights", {"--weights", output, "--prototxt", folder / "net.prototxt"});
  EXPECT_EQ(misplaced.status, 2);
  EXPECT_THAT(misplaced.output, HasSubstr("--prototxt belongs to a .caffemodel"));
}

TEST(ImportWeightsOfNcnn, ListsANetworkWithTheWeightsBesideIt) {
  const TempFolder folder;
  write_text(folder / "net.param", "7767517\n1 1\nConvolution a/b 0 1 y 0=1 1=1 6=2\n");
  write_text(folder / "net.bin", std::string("\0\0\0\0\0\0\x80\x3F\0\0\0\x40", 12));
  const auto result = run_tool("import_weights", {"--weights", folder / "net.param"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("a/b.weight"));
  EXPECT_THAT(result.output, HasSubstr("1 tensors, 2 values"));
}

TEST(ImportWeightsOfNcnn, ScalesOfCodesAreRangesInTheCheckpoint) {
  torch::manual_seed(6);
  State tensors = ncnn_mobilenet_v2_ssdlite(21).state();
  for (size_t i = tensors.size(); i-- > 0;) {
    const auto& name = tensors[i].first;
    if (ends_with(name, ".bias")) {
      tensors.emplace_back(name.substr(0, name.size() - 4) + "input_scale",
                           torch::full({1}, 12.7F));
    }
  }
  const TempFolder folder;
  const std::string codes = folder / "codes.safetensors", output = folder / "out.safetensors";
  write_safetensors(codes, {tensors, {}});
  const auto result = run_tool(
      "import_weights", {"--weights", codes, "--output", output, "--config-file",
                         SSDQ_SOURCE_DIR "/configs/mobilenet_v2_ssdlite300_tf_voc_quan_w8a8.yaml"});
  ASSERT_EQ(result.status, 0) << result.output;
  int found = 0;
  for (const auto& [name, tensor] : load_checkpoint(output).model) {
    if (ends_with(name, ".input_quantizer.observed")) {
      EXPECT_EQ(tensor.item<int64_t>(), 1) << name;
      ++found;
    } else if (ends_with(name, ".input_quantizer.max")) {
      EXPECT_NEAR(tensor.item<float>(), 10, 1e-5) << name;
    }
  }
  EXPECT_EQ(found, 88);
}

}  // namespace
}  // namespace ssdq::testing
