#include "ssdq/checkpoint/caffe_file.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "caffe_testing.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kInput = "input: \"data\"\ninput_dim: [1, 3, 8, 8]\n";
constexpr const char* kConv =
    "layer { name: \"conv\" type: \"Convolution\" bottom: \"data\" top: \"conv\"\n"
    "  convolution_param { num_output: 2 kernel_size: 1 } }\n";

const std::vector<CaffeLayer> kConvLayer = {
    {"conv", "Convolution", {{{2, 3, 1, 1}}, {{2}, {0.5F, -0.5F}}}}};

class CaffeFile : public ::testing::Test {
 protected:
  TensorFile read(const std::string& model, const std::string& layers) const {
    write_text(model_, model);
    write_text(prototxt_, kInput + layers);
    return read_caffe(model_, prototxt_);
  }

  // Without the path that it starts with.
  std::string complaint(const std::string& model, const std::string& layers) const {
    const std::string message = message_of<Error>([&] { read(model, layers); });
    EXPECT_THAT(message, StartsWith(model_ + ": "));
    EXPECT_THAT(message, Not(HasSubstr("\n")));
    return message.substr(model_.size() + 2);
  }

  TempFolder folder_;
  const std::string model_ = folder_ / "net.caffemodel";
  const std::string prototxt_ = folder_ / "net.prototxt";
};

std::vector<std::string> names_of(const TensorFile& file) {
  std::vector<std::string> names;
  for (const auto& entry : file.tensors) {
    names.push_back(entry.first);
  }
  return names;
}

std::map<std::string, torch::Tensor> by_name(const TensorFile& file) {
  return {file.tensors.begin(), file.tensors.end()};
}

TEST_F(CaffeFile, ConvolutionsKeepTheirShapeAndBiasesAreFlat) {
  const auto file = read(caffemodel(kConvLayer), kConv);
  EXPECT_THAT(names_of(file), ElementsAre("conv.weight", "conv.bias"));
  const auto& weight = file.tensors[0].second;
  EXPECT_EQ(weight.sizes(), (std::vector<int64_t>{2, 3, 1, 1}));
  EXPECT_EQ(weight[1][0][0][0].item<float>(), 4);
  EXPECT_TRUE(torch::equal(file.tensors[1].second, torch::tensor({0.5F, -0.5F})));
  EXPECT_TRUE(file.metadata.empty());
}

TEST_F(CaffeFile, TheFormOf2014IsRead) {
  const auto file = read(old_caffemodel("conv", {{{2, 3, 1, 1}}, {{1, 1, 1, 2}}}), kConv);
  EXPECT_THAT(names_of(file), ElementsAre("conv.weight", "conv.bias"));
  EXPECT_EQ(file.tensors[0].second.sizes(), (std::vector<int64_t>{2, 3, 1, 1}));
  EXPECT_EQ(file.tensors[1].second.sizes(), (std::vector<int64_t>{2}));
}

// mean = 3 / 2, variance = 8 / 2 by the factor 2.
TEST_F(CaffeFile, BatchNormsAreDividedByTheirFactorAndScalesComeApart) {
  const auto tensors =
      by_name(read(caffemodel({kConvLayer[0],
                               {"bn", "BatchNorm", {{{2}, {3, 5}}, {{2}, {8, 4}}, {{1}, {2}}}},
                               {"scale", "Scale", {{{2}, {7, 6}}, {{2}, {1, 2}}}}}),
                   std::string(kConv) +
                       "layer { name: \"bn\" type: \"BatchNorm\" bottom: \"conv\" top: \"bn\" }\n"
                       "layer { name: \"scale\" type: \"Scale\" bottom: \"bn\" top: \"scale\"\n"
                       "  scale_param { bias_term: true } }\n"));
  ASSERT_EQ(tensors.size(), 6U);
  EXPECT_TRUE(torch::equal(tensors.at("bn.running_mean"), torch::tensor({1.5F, 2.5F})));
  EXPECT_TRUE(torch::equal(tensors.at("bn.running_var"), torch::tensor({4.0F, 2.0F})));
  EXPECT_TRUE(torch::equal(tensors.at("scale.weight"), torch::tensor({7.0F, 6.0F})));
  EXPECT_TRUE(torch::equal(tensors.at("scale.bias"), torch::tensor({1.0F, 2.0F})));
}

// What an SSD has beside convolutions; layers of the prototxt without values give nothing.
TEST_F(CaffeFile, NormalisationsAndFullyConnectedLayersAreRead) {
  const auto tensors = by_name(
      read(caffemodel({kConvLayer[0],
                       {"conv_norm", "Normalize", {{{2}, {20, 21}}}},
                       {"fc", "InnerProduct", {{{5, 128}}, {{5}}}}}),
           std::string(kConv) +
               "layer { name: \"relu\" type: \"ReLU\" bottom: \"conv\" top: \"conv\" }\n"
               "layer { name: \"conv_norm\" type: \"Normalize\" bottom: \"conv\" top: \"norm\"\n"
               "  norm_param { across_spatial: false channel_shared: false } }\n"
               "layer { name: \"boxes\" type: \"PriorBox\" bottom: \"norm\" bottom: \"data\"\n"
               "  top: \"boxes\" prior_box_param { min_size: 30 max_size: 60 aspect_ratio: 2\n"
               "  flip: true clip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } "
               "}\n"
               "layer { name: \"fc\" type: \"InnerProduct\" bottom: \"norm\" top: \"fc\"\n"
               "  inner_product_param { num_output: 5 } }\n"));
  ASSERT_EQ(tensors.size(), 5U);
  EXPECT_TRUE(torch::equal(tensors.at("conv_norm.weight"), torch::tensor({20.0F, 21.0F})));
  EXPECT_EQ(tensors.at("fc.weight").sizes(), (std::vector<int64_t>{5, 128}));
  EXPECT_EQ(tensors.at("fc.weight")[1][0].item<float>(), 129);
  EXPECT_EQ(tensors.at("fc.bias").sizes(), (std::vector<int64_t>{5}));
}

TEST_F(CaffeFile, LayersThatThePrototxtHasNotAreNamed) {
  const auto file = read(
      caffemodel({kConvLayer[0], {"fc8", "InnerProduct", {{{1, 2}}}}, {"drop", "Dropout", {}}}),
      kConv);
  EXPECT_THAT(names_of(file), ElementsAre("conv.weight", "conv.bias"));
  EXPECT_EQ(file.metadata.at("left_out"), "fc8");
}

TEST_F(CaffeFile, OtherFilesAreRefusedBeforeTheyAreParsed) {
  const std::string expected =
      "is not a .caffemodel, or is damaged; expected a protocol buffers message of layers";
  EXPECT_EQ(complaint("", kConv), expected);
  EXPECT_EQ(complaint("a text file", kConv), expected);
  EXPECT_EQ(complaint("\x80\x02\x8a\x0a", kConv), expected);
  const std::string whole = caffemodel(kConvLayer);
  EXPECT_EQ(complaint(whole.substr(0, whole.size() - 3), kConv), expected);
  ProtobufWriter first_form, layer, net;
  first_form.bytes(1, "conv");
  layer.message(1, first_form);
  net.message(2, layer);
  EXPECT_THAT(complaint(net.text(), kConv), HasSubstr("upgrade_net_proto_binary"));
}

TEST_F(CaffeFile, ABlobCannotAskForMoreThanItHolds) {
  const std::string expected =
      "layer 'conv' is damaged: a blob of 19 bytes cannot hold the values of its shape";
  const auto with_shape = [](const std::vector<int64_t>& shape) {
    return caffemodel({{"conv", "Convolution", {{shape, {1}}}}});
  };
  EXPECT_EQ(complaint(with_shape({65536, 65536, 65536}), kConv), expected);
  EXPECT_THAT(complaint(with_shape({int64_t{1} << 62, 4}), kConv), HasSubstr("cannot hold"));
  EXPECT_THAT(complaint(with_shape({-1, 2}), kConv), HasSubstr("cannot hold"));
  EXPECT_THAT(complaint(with_shape({0, int64_t{1} << 40}), kConv), HasSubstr("cannot hold"));
}

TEST_F(CaffeFile, APrototxtOfAnotherNetworkIsRefused) {
  EXPECT_THAT(complaint(caffemodel({{"c", "Convolution", {{{2, 3, 1, 1}}}}}), kConv),
              HasSubstr("has no weights for layer 'conv' of " + prototxt_));
  EXPECT_THAT(complaint(caffemodel(kConvLayer), "layer { name: "),
              HasSubstr("OpenCV cannot read the network that " + prototxt_ + " describes"));
  EXPECT_THAT(complaint(caffemodel(kConvLayer),
                        "layer { name: \"a\" type: \"Alien\" bottom: \"data\" top: \"a\" }"),
              HasSubstr("OpenCV cannot read layer 'a'"));
  EXPECT_THAT(message_of<Error>([&] { read_caffe(model_, model_); }),
              HasSubstr(model_ + ": is not a prototxt"));
  EXPECT_THAT(message_of<Error>([&] { read_caffe(model_, folder_ / "no.prototxt"); }),
              StartsWith(folder_ / "no.prototxt: cannot read"));
}

// They would end the program inside OpenCV.
TEST_F(CaffeFile, DivisionsByZeroAreRefused) {
  for (const char* zero :
       {"num_output: 0", "num_output:00", "num_output # c: 3\n : 0x0", "num_output: 2 group: 0"}) {
    const std::string message = message_of<Error>([&] {
      read(
          caffemodel(kConvLayer),
          fmt::format("layer {{ name: \"conv\" type: \"InnerProduct\" bottom: \"data\" top: \"c\"\n"
                      "  convolution_param {{ {} }} }}\n",
                      zero));
    });
    EXPECT_THAT(message, HasSubstr("expected at least 1")) << zero;
  }
}

// Whatever is changed, there are tensors or an Error.
TEST_F(CaffeFile, DamageCostsASentence) {
  const std::string whole = caffemodel(kConvLayer);
  std::mt19937 random(3);
  int read_well = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::string damaged = whole;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    if (trial % 3 == 0) {
      damaged.resize(random() % damaged.size());
    }
    try {
      read(damaged, kConv);
      ++read_well;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), StartsWith(model_ + ": "));
    }
  }
  EXPECT_GT(read_well, 0);
}

TEST_F(CaffeFile, AWeightsFileOfAConfigurationItIsNot) {
  EXPECT_THAT(message_of<Error>([&] { load_checkpoint(model_); }),
              HasSubstr("convert it with import_weights --prototxt"));
}

}  // namespace
}  // namespace ssdq::testing
