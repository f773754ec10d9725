#include "ssdq/checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>
#include <nlohmann/json.hpp>

#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

bool same_bits(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) {
    return false;
  }
  const auto left = a.contiguous();
  const auto right = b.contiguous();
  const size_t bytes = left.numel() * left.element_size();
  return bytes == 0 || std::memcmp(left.data_ptr(), right.data_ptr(), bytes) == 0;
}

std::string with_length(const std::string& header, const std::string& data = "") {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

std::string one_tensor(const std::string& fields, size_t data_bytes) {
  return with_length("{\"a\":{" + fields + "}}", std::string(data_bytes, 'x'));
}

// The Error's sentence for a file of these bytes, without the path in front of it.
std::string complaint_about(const std::string& bytes) {
  const TempFolder folder;
  write_text(folder / "f", bytes);
  const std::string message = message_of<Error>([&] { read_safetensors(folder / "f"); });
  EXPECT_THAT(message, StartsWith(folder / "f: "));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 0);
  return message.substr((folder / "f: ").size());
}

TensorFile small_file() {
  return {{{"weight", torch::arange(6, torch::kFloat32).reshape({2, 3})},
           {"steps", torch::tensor({7}, torch::kInt64)},
           {"mask", torch::tensor({true, false, true})}},
          {{"format", "x"}}};
}

TEST(Safetensors, EveryTypeComesBackBitForBitInTheGivenOrder) {
  const TempFolder folder;
  torch::manual_seed(1);
  TensorFile file;
  for (const auto type :
       {torch::kBool, torch::kInt8, torch::kUInt8, torch::kInt16, torch::kInt32, torch::kInt64,
        torch::kFloat16, torch::kBFloat16, torch::kFloat32, torch::kFloat64}) {
    file.tensors.emplace_back(torch::toString(type), (torch::randn({3, 5}) * 50).abs().to(type));
  }
  file.tensors.emplace_back("nan", torch::tensor({std::numeric_limits<float>::quiet_NaN(), -0.0F}));
  file.tensors.emplace_back("scalar", torch::tensor(2.5));
  file.tensors.emplace_back("empty", torch::empty({0, 4}));
  file.metadata = {{"text", "line\n\"quoted\" \\ \xC3\xBC"}, {"nothing", ""}};
  write_safetensors(folder / "f", file);
  const TensorFile read = read_safetensors(folder / "f");
  ASSERT_EQ(read.tensors.size(), file.tensors.size());
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_EQ(read.tensors[i].first, file.tensors[i].first);
    EXPECT_TRUE(same_bits(read.tensors[i].second, file.tensors[i].second)) << file.tensors[i].first;
  }
  EXPECT_EQ(read.metadata, file.metadata);
}

TEST(Safetensors, ViewsAndChannelsLastAreWrittenByLogicalOrder) {
  const TempFolder folder;
  const auto base = torch::randn({2, 3, 4, 5});
  const State tensors{{"transposed", base.transpose(0, 3)},
                      {"slice", base.slice(3, 1, 4, 2)},
                      {"channels_last", base.contiguous(torch::MemoryFormat::ChannelsLast)},
                      {"expanded", torch::ones({1, 3}).expand({4, 3})},
                      {"gradient", base.clone().requires_grad_()}};
  write_safetensors(folder / "f", {tensors, {}});
  const auto read = read_safetensors(folder / "f").tensors;
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(same_bits(read[i].second, tensors[i].second)) << tensors[i].first;
    EXPECT_TRUE(read[i].second.is_contiguous());
  }
}

TEST(Safetensors, TheBytesFollowTheFormat) {
  const TempFolder folder;
  write_safetensors(folder / "f", {{{"bytes", torch::tensor({1, 2, 3}, torch::kUInt8)},
                                    {"long", torch::tensor({-1}, torch::kInt64)}},
                                   {{"k", "v"}}});
  const std::string bytes = read_text(folder / "f");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  EXPECT_EQ(length % 8, 0U);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  // The wider type comes first in the data, which keeps it aligned.
  const auto expected = nlohmann::json::parse(R"({
      "__metadata__": {"k": "v"},
      "bytes": {"dtype": "U8", "shape": [3], "data_offsets": [8, 11]},
      "long": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}})");
  EXPECT_EQ(header, expected);
  EXPECT_EQ(bytes.substr(8 + length), std::string(8, '\xFF') + "\1\2\3");
}

TEST(Safetensors, ReadsAFileMadeByAnotherProgram) {
  const auto file =
      read_safetensors(SSDQ_SOURCE_DIR "/tests/checkpoint/golden/tensors.safetensors");
  const float infinity = std::numeric_limits<float>::infinity();
  const State expected{
      {"floats", torch::tensor({1.5F, -2.0F, 0.0F, infinity, 1e-40F, 3.0F}).reshape({2, 3})},
      {"bools", torch::tensor({true, false, true})},
      {"longs",
       torch::tensor({std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()})},
      {"halves", torch::tensor({0.5F, -65504.0F}).to(torch::kFloat16).reshape({2, 1})},
      {"none", torch::empty({0, 7}, torch::kUInt8)}};
  ASSERT_EQ(file.tensors.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(file.tensors[i].first, expected[i].first);
    EXPECT_TRUE(same_bits(file.tensors[i].second, expected[i].second)) << expected[i].first;
  }
  EXPECT_EQ(file.metadata.at("\xC3\xBC"
                             "ber"),
            "\xE2\x9C\x93");
}

TEST(Safetensors, TheHeaderAloneTellsShapesAndTypes) {
  const TempFolder folder;
  write_safetensors(folder / "f", small_file());
  const auto file = read_safetensors_header(folder / "f");
  ASSERT_EQ(file.tensors.size(), 3U);
  EXPECT_EQ(file.tensors[0].second.sizes(), torch::IntArrayRef({2, 3}));
  EXPECT_EQ(file.tensors[1].second.scalar_type(), torch::kInt64);
  EXPECT_TRUE(file.tensors[0].second.is_meta());
}

TEST(Safetensors, EveryTruncationIsOneSentence) {
  const TempFolder folder;
  write_safetensors(folder / "whole", small_file());
  const std::string bytes = read_text(folder / "whole");
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::string complaint = complaint_about(bytes.substr(0, length));
    if (length > 8) {
      EXPECT_THAT(complaint, StartsWith("the file is truncated")) << length;
    }
  }
}

// Reads bytes that are either still a file of this format or refused with Error; anything else
// fails the test or ends it.
void expect_read_or_error(const std::string& path, const std::string& bytes) {
  write_text(path, bytes);
  try {
    for (const auto& [name, tensor] : read_safetensors(path).tensors) {
      ASSERT_LE(tensor.numel() * tensor.element_size(), bytes.size()) << name;
    }
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), StartsWith(path));
  }
}

TEST(Safetensors, FlippedBytesAreReadOrRefused) {
  const TempFolder folder;
  write_safetensors(folder / "whole", small_file());
  const std::string bytes = read_text(folder / "whole");
  std::mt19937 random(7);
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const char byte :
         {'\0', '0', '9', '"', '{', ']', ',', '-', '\xFF', static_cast<char>(random())}) {
      std::string changed = bytes;
      changed[at] = byte;
      expect_read_or_error(folder / "f", changed);
    }
  }
}

TEST(Safetensors, SplicedBytesAreReadOrRefused) {
  const TempFolder folder;
  write_safetensors(folder / "whole", small_file());
  const std::string bytes = read_text(folder / "whole");
  std::mt19937 random(11);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random()) % limit; };
  for (int i = 0; i < 3000; ++i) {
    std::string changed = bytes;
    const std::string piece = bytes.substr(below(bytes.size()), 1 + below(20));
    changed.replace(below(changed.size()), below(20), piece);
    // A right length keeps the damage from being refused before the JSON is looked at.
    const uint64_t length = bytes.size() - 8 - (24 + 8 + 3) + (changed.size() - bytes.size());
    std::memcpy(changed.data(), &length, sizeof length);
    expect_read_or_error(folder / "f", changed);
  }
}

TEST(Safetensors, LyingHeadersAreRefused) {
  const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  EXPECT_EQ(complaint_about(one_tensor(good, 9)),
            "damaged file: 1 bytes after the last tensor belong to nothing");
  EXPECT_EQ(complaint_about(one_tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", 8)),
            "damaged file: tensor 'a' of shape [3] does not fit its data_offsets 0..8");
  EXPECT_EQ(complaint_about(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", 8)),
            "damaged file: tensor 'a' of shape [2] does not fit its data_offsets 8..0");
  EXPECT_EQ(complaint_about(one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])", 12)),
            "damaged file: its tensors overlap or leave a hole at byte 0 of the data");
  EXPECT_EQ(complaint_about(one_tensor(R"("dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1])", 1)),
            "tensor 'a' has the type F8_E4M3, which SSDQ does not read");
  EXPECT_EQ(complaint_about(one_tensor(R"("dtype":"F32","shape":[1])", 4)),
            "damaged file: tensor 'a' lacks its dtype, shape or data_offsets");
  EXPECT_EQ(complaint_about(one_tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", 4)),
            "damaged file: the header has a negative number where the safetensors format has none "
            "(at 'a')");
  EXPECT_EQ(complaint_about(with_length("{\"a\":{" + good + "},\"a\":{" + good + "}}", "12345678")),
            "damaged file: two tensors named 'a'");
  EXPECT_EQ(complaint_about(with_length("{\"a\":{" + good + "},\"b\":{" + good + "}}", "12345678")),
            "damaged file: its tensors overlap or leave a hole at byte 0 of the data");
  EXPECT_EQ(complaint_about(with_length("{\"a\"}")),
            "damaged file: its header is not JSON (byte 13)");
}

TEST(Safetensors, SizesThatOverflowAreRefused) {
  for (const char* shape :
       {"[4611686018427387904,4]", "[4294967296,4294967296]", "[18446744073709551615]",
        "[18446744073709551616]", "[0,9223372036854775807,9223372036854775807]"}) {
    const std::string fields =
        std::string(R"("dtype":"F32","data_offsets":[0,0],"shape":)") + shape;
    EXPECT_THAT(complaint_about(one_tensor(fields, 0)), StartsWith("damaged file: ")) << shape;
  }
}

TEST(Safetensors, DeepNestingIsRefusedWithoutRecursion) {
  EXPECT_THAT(complaint_about(with_length("{\"a\":" + std::string(1000000, '['))),
              HasSubstr("the header has an array where the safetensors format has none"));
  EXPECT_THAT(complaint_about(with_length("{\"a\":{\"b\":{}}}")),
              HasSubstr("the header has a nested object"));
}

TEST(Safetensors, AHugeHeaderLengthIsRefused) {
  std::string bytes = with_length("{}");
  const uint64_t length = 100'000'001;
  std::memcpy(bytes.data(), &length, sizeof length);
  EXPECT_THAT(complaint_about(bytes), HasSubstr("neither a safetensors nor a .pth"));
}

TEST(Safetensors, MissingFilesAndFoldersAreOneSentence) {
  const TempFolder folder;
  EXPECT_EQ(message_of<Error>([&] { read_safetensors(folder / "f"); }),
            folder / "f: cannot read the checkpoint: No such file or directory");
  EXPECT_EQ(message_of<Error>([&] { read_safetensors(folder.path()); }),
            folder.path() + ": cannot read the checkpoint: it is a directory");
  EXPECT_EQ(message_of<Error>([] { read_safetensors("/dev/zero"); }),
            "/dev/zero: cannot read the checkpoint: it is not a regular file");
}

TEST(Safetensors, WhatCannotBeWrittenIsNamed) {
  const TempFolder folder;
  const auto complaint = [&](const State& tensors) {
    return message_of<Error>([&] { write_safetensors(folder / "f", {tensors, {}}); });
  };
  const auto start = folder / "f: cannot write tensor 'a': ";
  EXPECT_EQ(complaint({{"a", torch::Tensor()}}), start + "it has no dense values");
  EXPECT_EQ(complaint({{"a", torch::eye(2).to_sparse()}}), start + "it has no dense values");
  EXPECT_EQ(complaint({{"a", torch::zeros({2}, torch::kComplexFloat)}}),
            start + "the format has no type for ComplexFloat");
  EXPECT_EQ(complaint({{"a", torch::ones(1)}, {"a", torch::ones(1)}}), start + "the name is taken");
  EXPECT_FALSE(std::filesystem::exists(folder / "f"));
}

TEST(Safetensors, AFullDiskKeepsTheOldFile) {
  const TempFolder folder;
  write_safetensors(folder / "f", small_file());
  const std::string before = read_text(folder / "f");
  std::string message;
  {
    const FileSizeLimit limit(20000);
    message = message_of<Error>([&] {
      write_safetensors(folder / "f", {{{"large", torch::zeros({10000})}}, {}});
    });
  }
  EXPECT_EQ(message, folder / "f: cannot write the file: File too large");
  EXPECT_EQ(read_text(folder / "f"), before);
  EXPECT_FALSE(std::filesystem::exists(folder / "f.tmp"));
}

}  // namespace
}  // namespace ssdq::testing
