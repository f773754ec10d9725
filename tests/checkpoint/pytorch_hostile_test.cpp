#include <chrono>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/utils/error.h"
#include "tests/checkpoint/pickle_bytes.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string golden(const std::string& name) {
  return read_text(SSDQ_SOURCE_DIR "/tests/checkpoint/golden/pytorch_" + name + ".pth");
}

const std::string& scratch_file() {
  static const TempFolder folder;
  static const std::string path = folder / "f";
  return path;
}

TensorFile read(const std::string& bytes) {
  write_text(scratch_file(), bytes);
  return read_pytorch(scratch_file());
}

// The Error's sentence for a file of these bytes, without the path in front of it; empty if the
// file is read.
std::string complaint_about(const std::string& bytes) {
  try {
    read(bytes);
    return "";
  } catch (const Error& error) {
    const std::string message = error.what();
    const std::string start = scratch_file() + ": ";
    EXPECT_THAT(message, StartsWith(start));
    EXPECT_EQ(message.find('\n'), std::string::npos);
    return message.substr(start.size());
  }
}

std::string named_tensor(const std::string& opcodes) { return "}" + text("a") + opcodes + "s"; }

TEST(HostilePytorchFile, EveryTruncationIsOneSentence) {
  for (const char* name : {"tensor", "legacy2"}) {
    const std::string bytes = golden(name);
    for (size_t length = 0; length < bytes.size(); ++length) {
      ASSERT_NE(complaint_about(bytes.substr(0, length)), "") << name << " " << length;
    }
  }
}

TEST(HostilePytorchFile, FlippedBytesAreReadOrRefused) {
  std::mt19937 random(5);
  for (const char* name : {"zip2", "legacy2", "legacy4", "nested4", "module_inside", "quantized"}) {
    const std::string bytes = golden(name);
    for (int i = 0; i < 400; ++i) {
      std::string changed = bytes;
      changed[random() % bytes.size()] = static_cast<char>(random());
      complaint_about(changed);
    }
  }
}

// Without wrong checksums, which would hide what comes after.
TEST(HostilePytorchFile, FlippedBytesOfThePickleAreReadOrRefused) {
  const std::string pickle = named_tensor(tensor({4, 2}, {2, 1}, 3));
  std::mt19937 random(6);
  for (size_t at = 0; at < pickle.size(); ++at) {
    for (int i = 0; i < 6; ++i) {
      std::string changed = pickle;
      changed[at] = static_cast<char>(random());
      complaint_about(pth_with(changed));
    }
  }
}

TEST(HostilePytorchFile, TheHandMadeFileIsSound) {
  const auto file = read(pth_with(named_tensor(tensor({4, 2}, {2, 1}, 3))));
  ASSERT_EQ(file.tensors.size(), 1U);
  EXPECT_TRUE(file.tensors[0].second.equal(torch::zeros({4, 2})));
}

TEST(HostilePytorchFile, DamagedValuesAreNoticed) {
  std::string bytes = pth_with(named_tensor(tensor({2}, {1})));
  bytes[bytes.find(std::string(64, '\0')) + 40] = 1;
  EXPECT_EQ(complaint_about(bytes), "damaged file: the checksum of tensor 'a' is wrong");
}

TEST(HostilePytorchFile, TensorsThatReachOutOfTheirStorageAreRefused) {
  const auto complaint = [](const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                            int64_t offset) {
    return complaint_about(pth_with(named_tensor(tensor(shape, strides, offset))));
  };
  constexpr int64_t kLarge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(complaint({16}, {1}, 0), "");
  EXPECT_EQ(complaint({0}, {1}, 99), "");
  EXPECT_EQ(complaint({1}, {kLarge}, 15), "");
  EXPECT_EQ(complaint({1, 2, 1}, {kLarge, 1, kLarge}, 14), "");
  const std::string out = "damaged file: tensor 'a' reaches out of its storage";
  EXPECT_EQ(complaint({17}, {1}, 0), out);
  EXPECT_EQ(complaint({16}, {1}, 1), out);
  EXPECT_EQ(complaint({2}, {16}, 0), out);
  EXPECT_EQ(complaint({2, 2}, {kLarge, kLarge}, 0), out);
  EXPECT_EQ(complaint({2}, {1}, kLarge), out);
  EXPECT_THAT(complaint({2}, {-1}, 3), HasSubstr("no whole number"));
  EXPECT_THAT(complaint({2}, {1}, -1), HasSubstr("no whole number"));
  EXPECT_THAT(complaint({2}, {1, 1}, 0), HasSubstr("number of strides"));
  EXPECT_THAT(complaint({1LL << 40, 1LL << 40}, {0, 0}, 0), HasSubstr("larger than any memory"));
  EXPECT_THAT(complaint({0, kLarge, kLarge}, {0, 0, 0}, 0), HasSubstr("larger than any memory"));
  EXPECT_THAT(complaint(std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1), 0),
              HasSubstr("shape"));
}

TEST(HostilePytorchFile, ASmallFileCannotAskForALargeTensor) {
  const std::string large = "damaged file: with tensor 'a' its tensors are many times larger";
  EXPECT_THAT(complaint_about(pth_with(named_tensor(tensor({1 << 20}, {0})))), StartsWith(large));
  EXPECT_THAT(complaint_about(pth_with(named_tensor(tensor({1LL << 40}, {0})))), StartsWith(large));
  std::string many = "}(";
  for (int i = 0; i < 20; ++i) {
    many += text("t" + std::to_string(i)) + tensor({1 << 16}, {0});
  }
  EXPECT_THAT(complaint_about(pth_with(many + "u")), HasSubstr("many times larger"));
}

// Lists of which each holds the one before ten times, around the value that `opcodes` push.
std::string laughs(const std::string& opcodes) {
  std::string bytes = opcodes + "q\x01";
  for (int level = 0; level < 50; ++level) {
    bytes += "](";
    for (int i = 0; i < 10; ++i) {
      bytes += "h\x01";
    }
    bytes += "eq\x01";
  }
  return bytes;
}

TEST(HostilePytorchFile, NestingIsWalkedInBoundedTime) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(complaint_about(pth_with(laughs("]"))), HasSubstr("too often"));
  EXPECT_THAT(complaint_about(pth_with(laughs(tensor({1}, {1})))), HasSubstr("65536 tensors"));
  EXPECT_THAT(complaint_about(pth_with("]q\x01(h\x01h\x01h\x01"
                                       "e")),
              HasSubstr("deep"));
  EXPECT_THAT(complaint_about(pth_with(std::string(1000000, ']') + std::string(999999, 'a'))),
              HasSubstr("nested more than 64 deep"));
  // What lies beside the weights is not walked.
  EXPECT_EQ(complaint_about(pth_with("}(" + text("junk") + laughs("]") + text("state_dict") +
                                     named_tensor(tensor({1}, {1})) + "u")),
            "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

// Arguments that are a list can come to hold the very tensor they make.
TEST(HostilePytorchFile, ScalesThatAreTheTensorItselfAreRefused) {
  const std::string make = "]p5\nctorch._utils\n_rebuild_qtensor\ng5\nRp6\n0";
  const std::string fill = "(" + storage("QInt8Storage", 64) + integer(0) + integers({4}) +
                           integers({1}) + "(ctorch\nper_channel_affine\ng6\ng6\n" + integer(0) +
                           "te0";
  EXPECT_THAT(complaint_about(pth_with(make + "g5\n" + fill + named_tensor("g6\n"))),
              HasSubstr("another type than it says"));
}

TEST(HostilePytorchFile, AParameterOfItselfIsRefused) {
  const std::string make = "]p5\nctorch._utils\n_rebuild_parameter\ng5\nRp6\n0g5\ng6\na0";
  EXPECT_THAT(complaint_about(pth_with(make + named_tensor("g6\n"))),
              HasSubstr("wrapped too often"));
}

TEST(HostilePytorchFile, CallsAreNeverMade) {
  const TempFolder folder;
  const std::string call = "cos\nsystem\n(" + text("touch " + folder / "made") + "tR";
  const auto file = read(pth_with("}(" + text("x") + call + text("a") + tensor({2}, {1}) + "u"));
  EXPECT_EQ(file.tensors.size(), 1U);
  EXPECT_TRUE(file.metadata.empty());
  EXPECT_FALSE(std::filesystem::exists(folder / "made"));
}

TEST(HostilePytorchFile, TensorsOfOtherKindsAreRefusedByName) {
  const auto rebuilt = [](const std::string& function) {
    return complaint_about(pth_with(named_tensor("ctorch._utils\n" + function + "\n)R")));
  };
  EXPECT_EQ(rebuilt("_rebuild_sparse_tensor"),
            "tensor 'a' is made by '_rebuild_sparse_tensor', which SSDQ does not read; save it as "
            "a dense tensor");
  EXPECT_THAT(rebuilt("_rebuild_tensor_v2"), HasSubstr("lacks its shape"));
  const std::string complex = "ctorch._utils\n_rebuild_tensor_v2\n(" +
                              storage("ComplexFloatStorage", 8) + integer(0) + "))NNtR";
  EXPECT_EQ(complaint_about(pth_with(named_tensor(complex))),
            "it holds tensors of the type 'ComplexFloatStorage', which SSDQ does not read");
}

TEST(HandMadePytorchFile, PartsUnderAKnownKeyAreJoined) {
  const std::string parts = "}(" + text("backbone") + named_tensor(tensor({1}, {1})) +
                            text("head") + named_tensor(tensor({2}, {1})) + "u";
  const auto file = read(pth_with("}(" + text("optimizer") + named_tensor(tensor({3}, {1})) +
                                  text("checkpoint") + "K\x01" + text("net") + parts + "u"));
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.tensors[0].first, "backbone.a");
  EXPECT_EQ(file.tensors[1].first, "head.a");
  EXPECT_EQ(file.metadata.at("container"), "net");
}

// collections.OrderedDict([["a", tensor]]), with a key that is bytes to Python 3.
TEST(HandMadePytorchFile, Python2DictsAreRead) {
  const auto file =
      read(pth_with("ccollections\nOrderedDict\n(](](U\x01"
                    "a" +
                    tensor({2}, {1}) + "eetR"));
  ASSERT_EQ(file.tensors.size(), 1U);
  EXPECT_EQ(file.tensors[0].first, "a");
}

TEST(HostilePytorchFile, FilesWithoutOrWithTwoWeightsAreRefused) {
  EXPECT_EQ(complaint_about(pth_with("}" + text("a") + "K\x01s")), "it holds no tensors");
  EXPECT_EQ(complaint_about(
                pth_with("}(" + text("a") + tensor({1}, {1}) + text("a") + tensor({1}, {1}) + "u")),
            "damaged file: two tensors named 'a'");
  EXPECT_THAT(complaint_about(zip_of({{"a/b", "x"}})), HasSubstr("without a data.pkl"));
  EXPECT_THAT(complaint_about(zip_of({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}})),
              HasSubstr("two data.pkl"));
  EXPECT_THAT(
      complaint_about(zip_of({{"a/data.pkl", "\x80\x02" + named_tensor(tensor({1}, {1})) + "."}})),
      HasSubstr("not in the file"));
  EXPECT_THAT(complaint_about(pth_with("}" + text("\xFF\xFE") + tensor({1}, {1}) + "s")),
              HasSubstr("name is no text"));
}

}  // namespace
}  // namespace ssdq::testing
