#include "ssdq/checkpoint/ncnn_file.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/utils/error.h"
#include "tests/utils/reference_data.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

const char* const kParam = "7767517\n1 1\nConvolution c 0 1 y 0=1 1=1 6=2\n";
const std::string kBin("\0\0\0\0\0\0\x80\x3F\0\0\0\x40", 12);  // float32 1, 2

TEST(NcnnFile, IsAWeightsOnlyCheckpoint) {
  const TempFolder folder;
  write_text(folder / "net.param", kParam);
  write_text(folder / "net.bin", kBin);
  const Checkpoint checkpoint = load_checkpoint(folder / "net.param");
  EXPECT_TRUE(checkpoint.weights_only);
  ASSERT_EQ(checkpoint.model.size(), 1U);
  EXPECT_EQ(checkpoint.model[0].first, "c.weight");
  EXPECT_TRUE(
      torch::equal(checkpoint.model[0].second, torch::tensor({1.0F, 2.0F}).view({1, 2, 1, 1})));
  const Checkpoint header = inspect_checkpoint(folder / "net.param");
  EXPECT_TRUE(header.model.at(0).second.is_meta());
  EXPECT_EQ(header.model[0].second.sizes(), (std::vector<int64_t>{1, 2, 1, 1}));
}

TEST(NcnnFile, ErrorsNameTheFile) {
  const TempFolder folder;
  const std::string path = folder / "net.param";
  const auto message = [&] {
    try {
      read_ncnn(path);
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_THAT(message(), HasSubstr(path + ": cannot read"));
  write_text(path, kParam);
  EXPECT_EQ(message(), path + ": holds the network only; expected its weights beside it, in " +
                           (folder / "net.bin"));
  write_text(folder / "net.bin", "");
  EXPECT_THAT(message(), HasSubstr(path + ": layer 'c': the weights are truncated"));
}

TEST(NcnnFile, RealNetworksAreReadWhole) {
  const auto folder = reference_data("weights");
  if (!folder) {
    GTEST_SKIP() << "SSDQ_REFERENCE_DATA does not say where the reference data is";
  }
  const auto count = [&](const std::string& name) {
    std::map<std::string, int64_t> numbers;
    for (const auto& [tensor, values] : read_ncnn(*folder + "/" + name).tensors) {
      numbers[tensor.substr(tensor.rfind('.') + 1)] += values.numel();
      numbers["tensors"] += 1;
    }
    return numbers;
  };
  EXPECT_EQ(count("mobilenetv2_ssdlite_voc_int8_ncnn/mobilenetv2_ssdlite_voc.param"),
            (std::map<std::string, int64_t>{{"tensors", 4 * 88},
                                            {"weight", 3304256},
                                            {"bias", 26201},
                                            {"weight_scale", 26201},
                                            {"input_scale", 88}}));
  EXPECT_EQ(count("ultralight_face_ssd/slim_320.param").at("tensors"), 2 * 42);
}

}  // namespace
}  // namespace ssdq::testing
