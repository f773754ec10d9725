#include "ssdq/checkpoint/darknet_file.h"

#include <cstdint>
#include <fstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

class DarknetFile : public ::testing::Test {
 protected:
  TensorFile read(const std::string& bytes) {
    const std::string path = folder_ / "net.weights";
    std::ofstream(path, std::ios::binary) << bytes;
    return read_darknet(path);
  }

  std::string complaint_about(const std::string& bytes) {
    return message_of<Error>([&] { read(bytes); });
  }

  TempFolder folder_;
};

TEST_F(DarknetFile, OfBothHeaderLengthsGivesItsValues) {
  const std::string values = bytes_of<float>({1.5F, -2, 3});
  const auto before = read(bytes_of<int32_t>({0, 1, 0, 77}) + values);
  const auto since = read(bytes_of<int32_t>({0, 2, 5, 77, 1}) + values);
  EXPECT_EQ(before.metadata.at("seen"), "77");
  EXPECT_EQ(since.metadata.at("seen"), "4294967373");  // 2^32 + 77
  EXPECT_EQ(since.metadata.at("version"), "0.2.5");
  for (const auto& file : {before, since}) {
    ASSERT_EQ(file.tensors.size(), 1U);
    EXPECT_TRUE(torch::equal(file.tensors[0].second, torch::tensor({1.5F, -2.F, 3.F})));
  }
}

TEST_F(DarknetFile, ThatIsNoneIsRefusedInASentence) {
  EXPECT_THAT(complaint_about(""), HasSubstr("0 bytes are too few for a darknet header"));
  EXPECT_THAT(complaint_about(bytes_of<int32_t>({0, 2, 0, 0, 0})), HasSubstr("cut off"));
  EXPECT_THAT(complaint_about(bytes_of<int32_t>({0, 2, 0, 0, 0, 1}) + "xy"), HasSubstr("cut off"));
  EXPECT_THAT(complaint_about("PK\x03\x04 and so on, a zip archive"),
              HasSubstr("a darknet weights file was expected"));
}

TEST_F(DarknetFile, IsKnownByItsName) {
  EXPECT_TRUE(is_darknet_file("a/yolov3.weights"));
  EXPECT_TRUE(is_darknet_file("darknet53.conv.74"));
  EXPECT_FALSE(is_darknet_file("head.conv.weight"));
  EXPECT_FALSE(is_darknet_file("x.conv."));
  EXPECT_FALSE(is_darknet_file("74"));
}

}  // namespace
}  // namespace ssdq::testing
