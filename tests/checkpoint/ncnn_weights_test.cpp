#include "ssdq/checkpoint/ncnn_weights.h"

#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::string bytes_of(std::vector<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string tagged(uint32_t tag, std::string data) {
  data.resize((data.size() + 3) / 4 * 4);
  return bytes_of<uint32_t>({tag}) + data;
}

std::string float32(const std::vector<float>& values) { return tagged(0, bytes_of(values)); }
std::string int8(const std::vector<int8_t>& values) { return tagged(0x000D4B38, bytes_of(values)); }

struct Network {
  std::string param, bin;
};

std::string lines(const std::vector<std::string>& layers) {
  std::string text = "7767517\n" + std::to_string(layers.size()) + " 99\n";
  for (const auto& layer : layers) {
    text += layer + "\n\n";
  }
  return text;
}

// One layer of each kind, the weights as the file format has them.
Network every_kind() {
  return {
      lines({"Input image 0 1 image 0=4 1=4 2=3", "Split s 1 2 image a b",
             "Convolution  plain/a  1 1 a  c 0=2 1=1 5=1 6=6 9=3 -23310=2,0.000000,6.000000",
             "Convolution half 1 1 c d 0=1 1=3 11=1 6=6",
             "Convolution codes 1 1 d e 0=2 1=1 5=1 6=6 8=2",
             "ConvolutionDepthWise dw 1 1 e f 0=4 1=1 6=4 7=2 8=1",
             "ConvolutionDepthWise one 1 1 f g 0=2 1=1 6=2 7=2 8=102",
             "InnerProduct fc 1 1 g h 0=2 1=1 2=4", "Softmax p 1 1 h i 0=0"}),
      float32({1, 2, 3, 4, 5, 6}) + bytes_of<float>({7, 8}) +
          tagged(0x01306B47, bytes_of<uint16_t>({0x3C00, 0xC000, 0x0001, 0x7BFF, 0x8000, 0x3555})) +
          int8({127, -127, 0, 1, 2, -128}) + bytes_of<float>({0.5F, -1, 127, 2, 16}) +
          int8({10, 20, 30, 40}) + bytes_of<float>({10, 20, 3}) + int8({5, 6}) +
          bytes_of<float>({2, 3, 4}) + tagged(0x0002C056, bytes_of<float>({1, 2, 3, 4})) +
          bytes_of<float>({9, 10})};
}

std::string complaint_about(const Network& network) {
  try {
    read_ncnn_weights(network.param, network.bin);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
}

TEST(NcnnWeights, EveryKindOfWeightsIsReadUnderItsLayersName) {
  const Network network = every_kind();
  std::map<std::string, NcnnTensor> tensors;
  for (auto& tensor : read_ncnn_weights(network.param, network.bin)) {
    tensors[tensor.name] = tensor;
  }
  EXPECT_EQ(tensors.size(), 16U);
  EXPECT_THAT(tensors["plain/a.weight"].shape, ElementsAre(2, 3, 1, 1));
  EXPECT_THAT(tensors["plain/a.weight"].values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(tensors["plain/a.bias"].values, ElementsAre(7, 8));
  EXPECT_THAT(tensors["half.weight"].shape, ElementsAre(1, 2, 1, 3));
  EXPECT_THAT(tensors["half.weight"].values,
              ElementsAre(1, -2, 0x1p-24F, 65504, -0.0F, 0x1.554p-2F));
  EXPECT_THAT(tensors["codes.weight"].values, ElementsAre(1, -1, 0, 0.5F, 1, -64));
  EXPECT_THAT(tensors["codes.bias"].values, ElementsAre(0.5F, -1));
  EXPECT_THAT(tensors["codes.weight_scale"].values, ElementsAre(127, 2));
  EXPECT_THAT(tensors["codes.input_scale"].values, ElementsAre(16));
  EXPECT_THAT(tensors["dw.weight"].shape, ElementsAre(4, 1, 1, 1));
  EXPECT_THAT(tensors["dw.weight"].values, ElementsAre(1, 2, 1.5F, 2));
  EXPECT_THAT(tensors["dw.weight_scale"].values, ElementsAre(10, 10, 20, 20));
  EXPECT_THAT(tensors["one.weight"].values, ElementsAre(2.5F, 3));
  EXPECT_THAT(tensors["one.output_scale"].values, ElementsAre(4));
  EXPECT_THAT(tensors["fc.weight"].shape, ElementsAre(2, 2));
  EXPECT_THAT(tensors["fc.bias"].values, ElementsAre(9, 10));
}

// As ncnn's converter writes them.
TEST(NcnnWeights, ChannelsOfScaleZeroOrInfinityHaveNoWeights) {
  const auto tensors =
      read_ncnn_weights(lines({"Convolution c 1 1 a b 0=3 1=1 6=3 8=2"}),
                        int8({-127, 5, 127}) + bytes_of<float>({INFINITY, 0, 127, 1}));
  EXPECT_THAT(tensors.at(0).values, ElementsAre(0, 0, 1));
}

TEST(HostileNcnnFile, EveryTruncationIsOneSentence) {
  const Network whole = every_kind();
  for (size_t length = 0; length < whole.bin.size(); ++length) {
    ASSERT_THAT(complaint_about({whole.param, whole.bin.substr(0, length)}),
                HasSubstr("the weights are truncated"))
        << length;
  }
  const size_t last = whole.param.rfind("Softmax");
  for (size_t length = 0; length < last; ++length) {
    ASSERT_NE(complaint_about({whole.param.substr(0, length), whole.bin}), "") << length;
  }
}

TEST(HostileNcnnFile, ChangedBytesAreReadOrRefused) {
  const Network whole = every_kind();
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    Network changed = whole;
    changed.param[random() % whole.param.size()] =
        i % 2 == 0 ? static_cast<char>(random()) : "0123456789- =\n"[random() % 14];
    changed.bin[random() % whole.bin.size()] = static_cast<char>(random());
    complaint_about(changed);
  }
}

TEST(HostileNcnnFile, SaysWhatIsWrongWithTheText) {
  const auto about = [](const std::string& param) { return complaint_about({param, ""}); };
  EXPECT_EQ(about("layer {\n"),
            "is not the text form of an ncnn network: its first line should be 7767517");
  EXPECT_EQ(about("7767517\n"), "the file is truncated: it ends before the number of layers");
  EXPECT_EQ(about("7767517\n-1 2\n"),
            "line 2: expected the number of layers, up to 100000, got '-1'");
  EXPECT_EQ(about("7767517\n2 2\nInput x 0 1 x\n"),
            "the file is truncated: it has 1 of the 2 layers that line 2 announces");
  EXPECT_EQ(about("7767517\n0 2\nInput x 0 1 x\n"),
            "line 3: there are more than the 0 layers that line 2 announces");
  EXPECT_EQ(about(lines({"Input x 0 3 a b"})), "line 3: names 2 maps, fewer than the 3 it should");
  EXPECT_EQ(about(lines({"Input x 0 0 a=b"})),
            "line 3: expected a parameter as 'number=value', got 'a=b'");
  EXPECT_EQ(about(lines({"Input x 0 0 1=2 1=3"})), "line 3: parameter 1 is given twice");
  EXPECT_EQ(about(lines({"BatchNorm bn 1 1 a b 0=3"})),
            "layer 'bn' is of type BatchNorm, which may have weights that SSDQ does not read");
  EXPECT_EQ(about(lines({"Convolution c 1 1 a b 0=3 1=x 6=9"})),
            "layer 'c': parameter 1 should be a whole number in 1..4096, got 'x'");
  EXPECT_EQ(about(lines({"Convolution c 1 1 a b 0=2 1=3 6=20"})),
            "layer 'c': 20 weights, 2 outputs in 1 groups of 3x3 pixels do not go together");
}

TEST(HostileNcnnFile, SaysWhatIsWrongWithTheWeights) {
  const std::string layer = "Convolution c 1 1 a b 0=1 1=1 6=2";
  EXPECT_EQ(
      complaint_about({lines({"Convolution c 1 1 a b 0=1048576 6=2147483648"}), float32({1})}),
      "layer 'c': the weights are truncated: 8589934592 bytes are needed and 4 are there");
  EXPECT_EQ(complaint_about({lines({layer}), tagged(77, "12345678")}),
            "layer 'c': its weights are of kind 0x0000004d; SSDQ reads float32, float16 and int8 "
            "(not ncnn's tables of 256 values)");
  EXPECT_EQ(complaint_about({lines({layer}), int8({1, 2})}),
            "layer 'c': its weights are int8 but have no scale");
  EXPECT_EQ(complaint_about({lines({layer + " 8=2"}), int8({1, 2}) + bytes_of<float>({-1, 1})}),
            "layer 'c': a scale of its codes is negative or not a number");
  EXPECT_EQ(complaint_about({lines({layer}), float32({1, 2, 3})}),
            "4 bytes of the weights are left over; the two files do not belong together");
  EXPECT_EQ(complaint_about({lines({layer, layer}), float32({1, 2}) + float32({1, 2})}),
            "two layers with weights are named 'c', or the name is not UTF-8");
}

}  // namespace
}  // namespace ssdq
