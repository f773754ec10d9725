#include "ssdq/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

void expect_same(const State& a, const State& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(torch::equal(a[i].second, b[i].second)) << a[i].first;
  }
}

std::string complaint_about(const std::string& bytes) {
  const TempFolder folder;
  write_text(folder / "f", bytes);
  const std::string message = message_of<Error>([&] { load_checkpoint(folder / "f"); });
  EXPECT_THAT(message, StartsWith(folder / "f: "));
  return message.substr((folder / "f: ").size());
}

TEST(Checkpoint, EveryPartComesBack) {
  const TempFolder folder;
  Checkpoint saved;
  saved.model = {{"z.weight", torch::randn({3, 2})}, {"a.bias", torch::randn({3})}};
  saved.optimizer = {{"z.weight.momentum", torch::randn({3, 2})}};
  saved.ema = {{"z.weight", torch::randn({3, 2})}};
  saved.hooks["best"] = {{"value", torch::tensor(0.1, torch::kFloat64)}};
  saved.hooks["lr"] = {{"a.b", torch::ones({2})}};
  saved.rng = rng_state();
  saved.iteration = 12345678901;
  saved.config_yaml = "SOLVER: {LR: 1e-3}  # \"quoted\"\n";
  saved.graph_cfg = "[convolutional]\nfilters=3\n";
  saved.extra = {{"classes", "a,b"}, {"iteration", "not the real one"}};
  save_checkpoint(folder / "f", saved);

  const Checkpoint loaded = load_checkpoint(folder / "f");
  expect_same(loaded.model, saved.model);
  expect_same(loaded.optimizer, saved.optimizer);
  expect_same(loaded.ema, saved.ema);
  ASSERT_EQ(loaded.hooks.size(), 2U);
  expect_same(loaded.hooks.at("best"), saved.hooks.at("best"));
  expect_same(loaded.hooks.at("lr"), saved.hooks.at("lr"));
  EXPECT_TRUE(torch::equal(loaded.rng, saved.rng));
  EXPECT_EQ(loaded.iteration, saved.iteration);
  EXPECT_EQ(loaded.config_yaml, saved.config_yaml);
  EXPECT_EQ(loaded.graph_cfg, saved.graph_cfg);
  EXPECT_EQ(loaded.extra, saved.extra);
  EXPECT_FALSE(loaded.weights_only);
}

TEST(Checkpoint, EmptyPartsStayEmpty) {
  const TempFolder folder;
  save_checkpoint(folder / "f", {});
  const Checkpoint loaded = load_checkpoint(folder / "f");
  EXPECT_TRUE(loaded.model.empty() && loaded.hooks.empty() && loaded.extra.empty());
  EXPECT_FALSE(loaded.rng.defined());
  EXPECT_FALSE(loaded.weights_only);
}

TEST(Checkpoint, InspectingTellsAllButTheValues) {
  const TempFolder folder;
  Checkpoint saved;
  saved.model = {{"w", torch::randn({3, 2})}};
  saved.iteration = 7;
  save_checkpoint(folder / "f", saved);
  const Checkpoint seen = inspect_checkpoint(folder / "f");
  EXPECT_EQ(seen.iteration, 7);
  EXPECT_EQ(seen.model.at(0).second.sizes(), torch::IntArrayRef({3, 2}));
}

TEST(Checkpoint, ABareFileOfTensorsIsAModel) {
  const TempFolder folder;
  write_safetensors(folder / "f", {{{"model.0.weight", torch::ones({2})}, {"rng", torch::ones(1)}},
                                   {{"format", "pt"}}});
  const Checkpoint loaded = load_checkpoint(folder / "f");
  EXPECT_TRUE(loaded.weights_only);
  ASSERT_EQ(loaded.model.size(), 2U);
  EXPECT_EQ(loaded.model[0].first, "model.0.weight");
  EXPECT_FALSE(loaded.rng.defined());
  EXPECT_EQ(loaded.extra.at("format"), "pt");
}

TEST(Checkpoint, ForeignFilesAreCalledByTheirName) {
  EXPECT_EQ(complaint_about(""),
            "the file is empty; a safetensors or .pth checkpoint was expected");
  EXPECT_THAT(complaint_about("PK\x03\x04" + std::string(100, '\x05')),
              HasSubstr("it starts as a zip archive"));
  EXPECT_THAT(complaint_about("\x80\x02\x8A\nl\xFC\x9C\x46\xF9 j\xA8P\x19.\x80\x02M"),
              StartsWith("damaged file: its pickle is cut off"));
  EXPECT_EQ(complaint_about("\x08\x07\x12\x07pytorch\x1A\x03"
                            "1.9"),
            "it looks like an ONNX model; a safetensors or .pth checkpoint was expected");
  EXPECT_EQ(complaint_about("[net]\nwidth=300\nheight=300\n"),
            "it looks like a text file; a safetensors or .pth checkpoint was expected");
  EXPECT_EQ(complaint_about("abc"),
            "it looks like a text file; a safetensors or .pth checkpoint was expected");
  EXPECT_EQ(complaint_about(std::string(64, '\xF0') + std::string(64, '\0')),
            "it is neither a safetensors nor a .pth checkpoint, or its start is damaged");
}

TEST(Checkpoint, ANewerVersionIsRefused) {
  const TempFolder folder;
  write_safetensors(folder / "f", {{}, {{"format", "ssdq"}, {"format_version", "2"}}});
  EXPECT_EQ(message_of<Error>([&] { load_checkpoint(folder / "f"); }),
            folder /
                "f: the checkpoint has format version 2, this SSDQ reads 1; use the SSDQ "
                "that wrote it, or a newer one");
}

TEST(Checkpoint, DamagedMetadataIsRefused) {
  const TempFolder folder;
  std::map<std::string, std::string> metadata{{"format", "ssdq"}, {"format_version", "1"}};
  write_safetensors(folder / "f", {{}, metadata});
  EXPECT_EQ(message_of<Error>([&] { load_checkpoint(folder / "f"); }),
            folder / "f: damaged checkpoint: its iteration should be a whole number, got ''");
  metadata["iteration"] = "5";
  write_safetensors(folder / "f", {{{"stray", torch::ones(1)}}, metadata});
  EXPECT_EQ(message_of<Error>([&] { load_checkpoint(folder / "f"); }),
            folder / "f: damaged checkpoint: tensor 'stray' belongs to no part of it");
}

TEST(Checkpoint, RandomNumbersGoOnWhereTheyWere) {
  const TempFolder folder;
  torch::manual_seed(3);
  torch::randn({5});
  Checkpoint checkpoint;
  checkpoint.rng = rng_state();
  save_checkpoint(folder / "f", checkpoint);
  const auto expected = torch::randn({7});
  torch::manual_seed(99);
  set_rng_state(load_checkpoint(folder / "f").rng);
  EXPECT_TRUE(torch::equal(torch::randn({7}), expected));
}

TEST(Checkpoint, AnotherRandomStateIsRefused) {
  EXPECT_EQ(message_of<Error>([] { set_rng_state(torch::zeros({10}, torch::kUInt8)); }),
            "the checkpoint's random state (10 bytes) is not one of this LibTorch");
  EXPECT_EQ(message_of<Error>([] { set_rng_state(torch::Tensor()); }),
            "the checkpoint's random state should be a list of bytes");
}

TEST(State, DifferencesListNamesAndShapes) {
  const State expected{{"a", torch::ones({2, 3})}, {"b", torch::ones({4})}, {"c", torch::ones({})}};
  const State found{{"b", torch::ones({5})}, {"c", torch::ones({})}, {"d", torch::ones({1})}};
  EXPECT_EQ(describe_differences(expected, found),
            "1 tensors missing, 1 of another shape, 1 unknown\n  missing: a [2, 3]\n"
            "  shape: b [5], expected [4]\n  unknown: d [1]");
  EXPECT_EQ(describe_differences(expected, {expected.rbegin(), expected.rend()}), "");
}

TEST(State, LongListsOfDifferencesAreCut) {
  State expected;
  for (int i = 0; i < 5; ++i) {
    expected.emplace_back("w" + std::to_string(i), torch::ones({1}));
  }
  EXPECT_EQ(describe_differences(expected, {}, 2),
            "5 tensors missing, 0 of another shape, 0 unknown\n  missing: w0 [1]\n"
            "  missing: w1 [1]\n  missing: 3 more");
}

TEST(StripForInference, TakesTheAveragesAndDropsWhatOnlyTrainingNeeds) {
  Checkpoint full;
  full.model = {{"a", torch::zeros({2})}, {"b", torch::ones({2})}};
  full.ema = {{"a", torch::full({2}, 7.0F)}, {"num_updates", torch::tensor(3)}};
  full.optimizer = {{"a.momentum_buffer", torch::ones({2})}};
  full.rng = rng_state();
  full.iteration = 5;
  full.extra = {{"class_names", "x\ny"}};
  const Checkpoint stripped = strip_for_inference(full);
  ASSERT_EQ(stripped.model.size(), 2U);
  EXPECT_EQ(stripped.model[0].second[0].item<float>(), 7.0F);
  EXPECT_EQ(stripped.model[1].second[0].item<float>(), 1.0F);
  EXPECT_TRUE(stripped.ema.empty() && stripped.optimizer.empty() && !stripped.rng.defined());
  EXPECT_EQ(stripped.iteration, 5);
  EXPECT_EQ(stripped.extra, full.extra);
}

}  // namespace
}  // namespace ssdq::testing
