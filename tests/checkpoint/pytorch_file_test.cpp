#include "ssdq/checkpoint/pytorch_file.h"

#include <cstdio>
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

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string golden(const std::string& name) {
  return SSDQ_SOURCE_DIR "/tests/checkpoint/golden/pytorch_" + name + ".pth";
}

// What make_pytorch.py fills tensor `number` of a file with.
torch::Tensor values(torch::IntArrayRef shape, int64_t number,
                     torch::ScalarType type = torch::kFloat32) {
  auto tensor = torch::empty(shape, torch::kInt64);
  auto* at = tensor.data_ptr<int64_t>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    at[i] = (7 * i + 3 * number) % 61;
  }
  return type == torch::kBool ? tensor.remainder(2).eq(1) : tensor.to(type);
}

std::vector<std::string> names_of(const State& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    names.push_back(name);
  }
  return names;
}

torch::Tensor named(const State& tensors, const std::string& name) {
  for (const auto& [known, tensor] : tensors) {
    if (known == name) {
      return tensor;
    }
  }
  ADD_FAILURE() << "no tensor '" << name << "'";
  return torch::empty({0});
}

void expect_same(const torch::Tensor& found, const torch::Tensor& expected,
                 const std::string& name) {
  EXPECT_EQ(found.scalar_type(), expected.scalar_type()) << name;
  EXPECT_EQ(found.sizes(), expected.sizes()) << name;
  EXPECT_TRUE(found.is_contiguous() && found.equal(expected)) << name << '\n' << found;
}

void expect_same(const State& found, const State& expected) {
  ASSERT_EQ(names_of(found), names_of(expected));
  for (size_t i = 0; i < found.size(); ++i) {
    expect_same(found[i].second, expected[i].second, found[i].first);
  }
}

State every_type() {
  return {
      {"t0", values({2, 3}, 0, torch::kFloat32)},    {"t1", values({4}, 1, torch::kFloat64)},
      {"t2", values({}, 2, torch::kFloat16)},        {"t3", values({0, 3}, 3, torch::kBFloat16)},
      {"t4", values({1, 2, 1, 3}, 4, torch::kInt8)}, {"t5", values({5}, 5, torch::kUInt8)},
      {"t6", values({2, 2}, 6, torch::kInt16)},      {"t7", values({7}, 7, torch::kInt32)},
      {"t8", values({3, 1}, 8, torch::kInt64)},      {"t9", values({6}, 9, torch::kBool)}};
}

TEST(PytorchFile, EveryTypeComesBackFromBothFormatsAndEveryProtocol) {
  for (const char* name : {"zip2", "zip3", "zip4", "legacy2", "legacy3", "legacy4", "big_endian"}) {
    SCOPED_TRACE(name);
    const TensorFile file = read_pytorch(golden(name));
    expect_same(file.tensors, every_type());
    EXPECT_TRUE(file.metadata.empty());
  }
}

TEST(PytorchFile, UntypedStoragesTakeTheTensorsType) {
  const State expected{{"a", torch::tensor({-2, 3}, torch::kInt32)}};
  expect_same(read_pytorch(golden("v3")).tensors, expected);
}

TEST(PytorchFile, ViewsOfOneStorageComeApartInLogicalOrder) {
  const auto base = values({4, 6}, 0);
  const State expected{{"base", base},
                       {"transposed", base.t().contiguous()},
                       {"slice", base.slice(0, 1).slice(1, 1, 6, 2).contiguous()},
                       {"expanded", torch::zeros({3, 2})},
                       {"overlapping", base.reshape(-1).as_strided({3, 4}, {2, 1}, 5).contiguous()},
                       {"channels_last", values({1, 2, 2, 3}, 1)},
                       {"parameter", base[2].clone()}};
  expect_same(read_pytorch(golden("strided")).tensors, expected);
  expect_same(read_pytorch(golden("strided_legacy")).tensors, expected);
}

TEST(PytorchFile, TheWeightsAreFoundAmongOtherThings) {
  const std::map<std::string, std::string> metadata{{"container", "state_dict"},
                                                    {"epoch", "12"},
                                                    {"best_map", "0.7625"},
                                                    {"arch", "ssd"},
                                                    {"resumed", "true"}};
  for (const char* name : {"nested2", "nested4", "nested_legacy"}) {
    SCOPED_TRACE(name);
    const TensorFile file = read_pytorch(golden(name));
    expect_same(file.tensors, {{"a", values({2}, 0)}, {"b", values({2}, 1)}});
    EXPECT_EQ(file.metadata, metadata);
  }
}

TEST(PytorchFile, TensorsInListsAreNamedByTheirPlace) {
  expect_same(read_pytorch(golden("lists")).tensors,
              {{"0", values({2}, 0)}, {"1.x.0", values({2}, 1)}, {"1.3", values({2}, 2)}});
  expect_same(read_pytorch(golden("tensor")).tensors, {{"tensor", values({2, 2}, 0)}});
}

TEST(PytorchFile, AWholeModuleGivesItsStateDict) {
  const State expected{{"scale", values({1}, 2)},
                       {"head.weight", values({2}, 0)},
                       {"head.mean", values({3}, 1)},
                       {"layers.0.weight", values({2, 1, 1, 1}, 3)},
                       {"layers.0.bias", values({2}, 4)},
                       {"layers.1.weight", values({2}, 5)},
                       {"layers.1.bias", values({2}, 6)},
                       {"layers.1.running_mean", values({2}, 7)},
                       {"layers.1.running_var", values({2}, 8)},
                       {"layers.1.num_batches_tracked", torch::tensor(0, torch::kInt64)},
                       {"again.weight", values({2}, 0)},
                       {"again.mean", values({3}, 1)}};
  expect_same(read_pytorch(golden("module2")).tensors, expected);
  expect_same(read_pytorch(golden("module4")).tensors, expected);
  const State head{{"weight", values({2}, 0)}, {"mean", values({3}, 1)}};
  expect_same(read_pytorch(golden("state_dict")).tensors, head);
  const TensorFile inside = read_pytorch(golden("module_inside"));
  expect_same(inside.tensors, head);
  EXPECT_EQ(inside.metadata.at("container"), "model");
  EXPECT_EQ(inside.metadata.at("epoch"), "3");
}

TEST(PytorchFile, QuantizedTensorsComeAsFloatsWithTheirScales) {
  const State tensors = read_pytorch(golden("quantized")).tensors;
  expect_same(read_pytorch(golden("quantized_legacy")).tensors, tensors);
  EXPECT_EQ(tensors.size(), 3U * 3 + 1 + 3);
  for (const std::string name : {"tensor", "wide", "channel"}) {
    const auto found = named(tensors, name);
    EXPECT_EQ(found.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(found.allclose(named(tensors, name + ".expected"), 1e-6, 0)) << name;
  }
  expect_same(named(tensors, "plain"), values({2, 3}, 0), "plain");
  EXPECT_EQ(named(tensors, "tensor.scale").item<double>(), 0.5);
  EXPECT_EQ(named(tensors, "wide.zero_point").item<int64_t>(), -7);
  expect_same(named(tensors, "channel.scale"), torch::tensor({0.5, 0.25}, torch::kFloat64),
              "scale");
  expect_same(named(tensors, "channel.zero_point"), torch::tensor({1, -2}, torch::kInt64), "zero");
}

TEST(PytorchFile, TheHeaderAloneTellsNamesShapesAndTypes) {
  for (const char* name : {"zip2", "strided_legacy", "quantized", "module4"}) {
    const State whole = read_pytorch(golden(name)).tensors;
    const State header = read_pytorch_header(golden(name)).tensors;
    ASSERT_EQ(names_of(header), names_of(whole));
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_TRUE(header[i].second.is_meta());
      EXPECT_EQ(header[i].second.sizes(), whole[i].second.sizes());
      EXPECT_EQ(header[i].second.scalar_type(), whole[i].second.scalar_type());
    }
  }
}

TEST(PytorchFile, LoadsAsACheckpointOfWeightsAlone) {
  const Checkpoint loaded = load_checkpoint(golden("nested2"));
  EXPECT_TRUE(loaded.weights_only);
  expect_same(loaded.model, {{"a", values({2}, 0)}, {"b", values({2}, 1)}});
  EXPECT_EQ(loaded.extra.at("epoch"), "12");
  EXPECT_EQ(loaded.iteration, 0);
  const Checkpoint seen = inspect_checkpoint(golden("legacy2"));
  EXPECT_TRUE(seen.weights_only && seen.model.at(0).second.is_meta());
}

TEST(PytorchFile, WhatTorchSaveDidNotWriteIsRefusedByName) {
  const auto complaint = [](const std::string& path) {
    const std::string message = message_of<Error>([&] { load_checkpoint(path); });
    EXPECT_THAT(message, StartsWith(path + ": "));
    return message.substr(path.size() + 2);
  };
  EXPECT_THAT(complaint(golden("script")), HasSubstr("TorchScript"));
  const TempFolder folder;
  write_text(folder / "tar", std::string(257, '\0') + "ustar" + std::string(250, '\0'));
  EXPECT_THAT(complaint(folder / "tar"), HasSubstr("tar archive"));
  write_text(folder / "pickle", "\x80\x04\x95\x02");
  EXPECT_THAT(complaint(folder / "pickle"), HasSubstr("torch.save did not write"));
  EXPECT_THAT(message_of<Error>([&] { read_pytorch(folder / "none"); }),
              StartsWith(folder / "none: cannot read the checkpoint: No such file"));
  EXPECT_THAT(message_of<Error>([&] { read_pytorch(folder.path()); }), HasSubstr("a directory"));
  EXPECT_THAT(message_of<Error>([&] { read_pytorch("/dev/zero"); }), HasSubstr("not a regular"));
}

State to_write() {
  const auto base = torch::randn({2, 3, 4, 5});
  State tensors = every_type();
  tensors.emplace_back("transposed", base.transpose(0, 3));
  tensors.emplace_back("channels_last", base.contiguous(torch::MemoryFormat::ChannelsLast));
  tensors.emplace_back("gradient", base.clone().requires_grad_());
  tensors.emplace_back("\xC3\xBC with blanks", torch::ones({300}));
  return tensors;
}

TEST(PytorchFile, WhatIsWrittenReadsTheSame) {
  const TempFolder folder;
  const State tensors = to_write();
  write_pytorch(folder / "f", tensors);
  const State read = read_pytorch(folder / "f").tensors;
  ASSERT_EQ(names_of(read), names_of(tensors));
  for (size_t i = 0; i < read.size(); ++i) {
    expect_same(read[i].second, tensors[i].second.contiguous(), read[i].first);
  }
  write_pytorch(folder / "empty", {});
  EXPECT_TRUE(read_pytorch(folder / "empty").tensors.empty());
}

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) {
    output += static_cast<char>(c);
  }
  return ::pclose(pipe) == 0 ? output : "failed: " + output;
}

TEST(PytorchFile, PythonReadsWhatIsWritten) {
  if (output_of("/usr/bin/python3 -c 'import torch'") != "") {
    GTEST_SKIP() << "/usr/bin/python3 has no PyTorch";
  }
  const TempFolder folder;
  write_pytorch(folder / "f", every_type());
  const std::string program =
      "import torch, zipfile\n"
      "print(zipfile.ZipFile(PATH).testzip())\n"
      "for name, t in torch.load(PATH, weights_only=True).items():\n"
      "    print(name, t.dtype, tuple(t.shape), t.to(torch.float64).reshape(-1).tolist())\n";
  write_text(folder / "load.py", "PATH = '" + folder / "f" + "'\n" + program);
  EXPECT_EQ(output_of("/usr/bin/python3 " + folder / "load.py"),
            "None\n"
            "t0 torch.float32 (2, 3) [0.0, 7.0, 14.0, 21.0, 28.0, 35.0]\n"
            "t1 torch.float64 (4,) [3.0, 10.0, 17.0, 24.0]\n"
            "t2 torch.float16 () [6.0]\n"
            "t3 torch.bfloat16 (0, 3) []\n"
            "t4 torch.int8 (1, 2, 1, 3) [12.0, 19.0, 26.0, 33.0, 40.0, 47.0]\n"
            "t5 torch.uint8 (5,) [15.0, 22.0, 29.0, 36.0, 43.0]\n"
            "t6 torch.int16 (2, 2) [18.0, 25.0, 32.0, 39.0]\n"
            "t7 torch.int32 (7,) [21.0, 28.0, 35.0, 42.0, 49.0, 56.0, 2.0]\n"
            "t8 torch.int64 (3, 1) [24.0, 31.0, 38.0]\n"
            "t9 torch.bool (6,) [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]\n");
}

TEST(PytorchFile, WhatCannotBeWrittenIsNamed) {
  const TempFolder folder;
  const auto complaint = [&](const State& tensors) {
    return message_of<Error>([&] { write_pytorch(folder / "f", tensors); });
  };
  EXPECT_THAT(complaint({{"a", torch::Tensor()}}), HasSubstr("it has no dense values"));
  EXPECT_THAT(complaint({{"a", torch::zeros({2}, torch::kComplexFloat)}}),
              HasSubstr("the format has no type for ComplexFloat"));
  EXPECT_THAT(complaint({{"a", torch::ones(1)}, {"a", torch::ones(1)}}), HasSubstr("taken"));
  EXPECT_FALSE(std::filesystem::exists(folder / "f"));
}

TEST(PytorchFile, RealFilesHaveTheirTensors) {
  const auto weights = reference_data("weights");
  if (!weights) {
    GTEST_SKIP() << "SSDQ_REFERENCE_DATA does not name the folder of reference data";
  }
  const auto count = [&](const std::string& name) {
    const State tensors = read_pytorch(*weights + "/" + name).tensors;
    int64_t elements = 0;
    for (const auto& [key, tensor] : tensors) {
      elements += tensor.numel();
      EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << key;
    }
    return std::pair{tensors.size(), elements};
  };
  using Counts = std::pair<size_t, int64_t>;
  EXPECT_EQ(count("ultralight_face_ssd/version-slim-320.pth"), Counts(184, 264757));
  EXPECT_EQ(count("ultralight_face_ssd/version-RFB-320.pth"), Counts(244, 281135));
  EXPECT_EQ(count("faceboxes/FaceBoxesProd.pth"), Counts(174, 1010317));
  EXPECT_EQ(count("blazeface/blazeface.pth"), Counts(74, 101390));
  EXPECT_EQ(count("blazeface/blazefaceback.pth"), Counts(138, 136240));
}

}  // namespace
}  // namespace ssdq::testing
