#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../e2e/process.h"
#include "../utils/temp_folder.h"
#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/export/weight_dump.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kConfig = SSDQ_SOURCE_DIR "/configs/vgg_mini_ssd300_bccd.yaml";
constexpr const char* kWeights = SSDQ_SOURCE_DIR "/datasets/bccd/vgg_mini_ssd300_bccd.safetensors";

class ExportNet : public ::testing::Test {
 protected:
  ProcessResult export_net(const std::vector<std::string>& more,
                           const std::string& format = "onnx") const {
    std::vector<std::string> arguments = {"--config-file", kConfig, "--weights", kWeights,
                                          "--format",      format,  "--output",  output_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_tool("export_net", arguments);
  }

  TempFolder folder_;
  const std::string output_ = folder_ / "cells.onnx";
};

TEST_F(ExportNet, WritesAFileAndReplacesItOnlyWhenForced) {
  const auto first = export_net({"--outputs", "detections", "--static-batch", "1"});
  EXPECT_EQ(first.status, 0) << first.output;
  const std::string bytes = read_text(output_);
  EXPECT_THAT(bytes, HasSubstr("NonMaxSuppression"));
  EXPECT_THAT(bytes, HasSubstr("Platelets"));

  const auto second = export_net({});
  EXPECT_EQ(second.status, 2);
  EXPECT_THAT(second.output, HasSubstr("add --force"));
  EXPECT_EQ(read_text(output_), bytes);

  EXPECT_EQ(export_net({"--force", "--opset", "13"}).status, 0);
  EXPECT_NE(read_text(output_), bytes);
}

// The file is that of the weights and options alone.
TEST_F(ExportNet, WritesTheSameBytesAgain) {
  ASSERT_EQ(export_net({"--outputs", "decoded"}).status, 0);
  const std::string bytes = read_text(output_);
  ASSERT_EQ(export_net({"--outputs", "decoded", "--force"}).status, 0);
  EXPECT_TRUE(read_text(output_) == bytes);
}

TEST_F(ExportNet, AFailedWriteLeavesTheOldFile) {
  write_text(output_, "old");
  const FileSizeLimit limit(100000);
  const auto result = export_net({"--force"});
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_EQ(read_text(output_), "old");
}

// The same folded numbers in four containers.
TEST_F(ExportNet, WritesTheSameFoldedWeightsInEveryFormat) {
  for (const char* format : {"safetensors", "pth", "text", "bin"}) {
    const auto result =
        run_tool("export_net", {"--config-file", kConfig, "--weights", kWeights, "--format", format,
                                "--fold-bn", "--output", folder_ / format});
    ASSERT_EQ(result.status, 0) << result.output;
  }
  const State expected = read_safetensors(folder_ / "safetensors").tensors;
  EXPECT_EQ(expected[1].first, "backbone.0.bias");
  for (const State& state :
       {read_pytorch(folder_ / "pth").tensors, read_weight_dump(folder_ / "text"),
        read_weight_dump(folder_ / "bin")}) {
    EXPECT_EQ(describe_differences(expected, state), "");
    ASSERT_EQ(state.size(), expected.size());
    for (size_t i = 0; i < state.size(); ++i) {
      EXPECT_TRUE(torch::equal(state[i].second, expected[i].second)) << state[i].first;
    }
  }
}

TEST_F(ExportNet, ReplacesAManifestOnlyWhenForced) {
  write_text(output_ + ".json", "old");
  const std::vector<std::string> quantized = {
      "QUANTIZATION.TYPE", "uniform", "QUANTIZATION.WBITS", "4", "QUANTIZATION.ABITS", "32"};
  EXPECT_THAT(export_net(quantized, "integers").output, HasSubstr(".json: exists already"));
  auto forced = quantized;
  forced.insert(forced.begin(), "--force");
  const auto result = export_net(forced, "integers");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(read_text(output_ + ".json"), HasSubstr("\"type\": \"int4\""));
}

TEST_F(ExportNet, WritesCodesOfAModelThatItCalibrates) {
  const std::vector<std::string> quantized = {
      "QUANTIZATION.TYPE",  "uniform", "QUANTIZATION.WBITS", "8",
      "QUANTIZATION.ABITS", "8",       "QUANTIZATION.FINAL", "true"};
  const auto integers = export_net(quantized, "onnx-qdq");
  EXPECT_EQ(integers.status, 0) << integers.output;
  const std::string bytes = read_text(output_);
  EXPECT_THAT(bytes, HasSubstr("QuantizeLinear"));
  EXPECT_LT(bytes.size(), 1500 * 1024);  // 4.7 MiB of floats
  auto script = quantized;
  script.insert(script.begin(), "--force");
  EXPECT_EQ(export_net(script, "torchscript").status, 0);
  EXPECT_THAT(read_text(output_), HasSubstr("metadata.json"));
}

TEST_F(ExportNet, SaysInOneSentenceWhatIsWrong) {
  EXPECT_THAT(export_net({}, "onx").output, HasSubstr("did you mean 'onnx'"));
  EXPECT_THAT(export_net({"--outputs", "boxes"}).output, HasSubstr("--outputs: unknown word"));
  EXPECT_THAT(export_net({"--opset", "23"}).output, HasSubstr("--opset must be in 11..19, got 23"));
  EXPECT_THAT(export_net({"--endian", "odd"}, "bin").output, HasSubstr("little or big"));
  EXPECT_THAT(export_net({"--fixed-point", "4"}, "bin").output, HasSubstr("expected Qm.n"));
  EXPECT_THAT(export_net({"--endian", "big"}, "text").output, HasSubstr("of the format bin"));
  EXPECT_THAT(export_net({"--endian", "big"}, "pth").output, HasSubstr("not of pth"));
  EXPECT_THAT(export_net({}, "integers").output, HasSubstr("for quantized models"));
  EXPECT_THAT(export_net({}, "onnx-qdq").output, HasSubstr("take the format onnx"));
  EXPECT_THAT(export_net({"--outputs", "detections"}, "torchscript").output,
              HasSubstr("expected --outputs raw or decoded"));
  const auto other = export_net({"MODEL.NUM_CLASSES", "5"});
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, HasSubstr("not the weights of this network"));
  const auto quantized = export_net({"QUANTIZATION.TYPE", "dorefa"});
  EXPECT_EQ(quantized.status, 2);
  EXPECT_THAT(quantized.output, HasSubstr("format onnx is FP32"));
}

}  // namespace
}  // namespace ssdq::testing
