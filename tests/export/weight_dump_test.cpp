#include "ssdq/export/weight_dump.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>
#include <nlohmann/json.hpp>

#include "../modeling/graph_builder.h"
#include "../utils/temp_folder.h"
#include "ssdq/export/export_model.h"
#include "ssdq/export/folded_state.h"
#include "ssdq/modeling/state.h"
#include "ssdq/quantization/build.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"
#include "testing_state.h"

namespace ssdq::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

State some_state() {
  return {{"conv.weight", torch::tensor({0.1F, -2.5F, 3e-30F, 7.0F}).view({2, 2})},
          {"conv.bn.running_mean", torch::tensor({1.0F / 3, -0.0F})},
          {"conv.bn.num_batches_tracked", torch::tensor(int64_t{1} << 40)},
          {"scale", torch::tensor(0.75F)},
          {"conv.bias", torch::tensor({-100.0F})}};
}

// In any order, as integers follow the rest.
void expect_equal(const State& actual, const State& expected) {
  EXPECT_EQ(describe_differences(expected, actual), "");
  for (const auto& [name, tensor] : actual) {
    for (const auto& [other, wanted] : expected) {
      if (name == other) {
        EXPECT_TRUE(torch::equal(tensor, wanted)) << name << tensor << wanted;
      }
    }
  }
}

class WeightDump : public ::testing::Test {
 protected:
  std::string written(const std::string& name, const DumpOptions& options) {
    write_weight_dump(folder_ / name, some_state(), options);
    return folder_ / name;
  }

  json manifest() const { return json::parse(read_text(folder_ / "w.json")); }

  // The error of reading "w" with another manifest.
  std::string error_with(const json& changed) {
    write_text(folder_ / "w.json", changed.dump());
    return message_of<Error>([&] { read_weight_dump(folder_ / "w"); });
  }

  TempFolder folder_;
};

TEST_F(WeightDump, FloatsComeBackExactly) {
  for (const bool binary : {true, false}) {
    for (const bool big : {true, false}) {
      for (const char* name : {"dump", "folder/"}) {
        const auto path = written(name, {binary, big && binary, {}});
        expect_equal(read_weight_dump(path), some_state());
      }
    }
  }
}

TEST_F(WeightDump, BinaryIsFloat32InTheOrderOfTheState) {
  for (const bool big : {false, true}) {
    const std::string bytes = read_text(written("w", {true, big, {}}));
    ASSERT_EQ(bytes.size(), 32);
    std::string second = bytes.substr(4, 4), last = bytes.substr(28, 4);
    if (big) {
      second = {second.rbegin(), second.rend()};
      last = {last.rbegin(), last.rend()};
    }
    float value = 0;
    std::memcpy(&value, second.data(), 4);
    EXPECT_EQ(value, -2.5F);
    std::memcpy(&value, last.data(), 4);
    EXPECT_EQ(value, -100.0F);
    EXPECT_EQ(manifest()["tensors"][2]["name"], "scale");
    EXPECT_EQ(manifest()["tensors"][2]["offset"], 24);
    EXPECT_EQ(manifest()["endianness"], big ? "big" : "little");
  }
}

TEST_F(WeightDump, TextHasANumberInEachLine) {
  const std::string text = read_text(written("w", {false, false, {}}));
  EXPECT_EQ(text, "0.1\n-2.5\n3e-30\n7\n0.33333334\n-0\n0.75\n-100\n");
  EXPECT_EQ(manifest()["tensors"][3]["offset"], 7);
}

TEST_F(WeightDump, AFolderSplitsWeightsFromTheRest) {
  const auto path = written("folder/", {false, false, {}});
  EXPECT_EQ(read_text(path + "weights.txt"), "0.1\n-2.5\n3e-30\n7\n");
  EXPECT_EQ(read_text(path + "bias.txt"), "0.33333334\n-0\n0.75\n-100\n");
}

TEST_F(WeightDump, FixedPointRoundsHalvesToEvenAndSaturates) {
  const FixedPoint format = parse_fixed_point("Q2.1");  // 4 bits: -4 to 3.5 by 0.5
  const State state = {{"x", torch::tensor({0.24F, 0.25F, 0.26F, 0.75F, -0.25F, -0.75F, 3.74F,
                                            3.75F, 9.0F, -4.25F, -4.3F})}};
  const auto report = write_weight_dump(folder_ / "w", state, {false, false, format});
  EXPECT_EQ(read_text(folder_ / "w"), "0\n0\n1\n2\n0\n-2\n7\n7\n7\n-8\n-8\n");
  EXPECT_EQ(report.saturated, 3);
  EXPECT_EQ(manifest()["saturated"], 3);
  EXPECT_EQ(manifest()["tensors"][0]["saturated"], 3);
  const State read = read_weight_dump(folder_ / "w");
  EXPECT_TRUE(torch::equal(read[0].second, torch::tensor({0.0F, 0.0F, 0.5F, 1.0F, 0.0F, -1.0F, 3.5F,
                                                          3.5F, 3.5F, -4.0F, -4.0F})));
}

TEST_F(WeightDump, FixedPointOfEveryWidthComesBack) {
  torch::manual_seed(1);
  for (const char* text : {"Q0.0", "Q0.7", "Q3.4", "Q4.4", "Q7.8", "Q0.15", "Q8.15", "Q15.16"}) {
    const FixedPoint format = parse_fixed_point(text);
    const auto codes = torch::randint(-100, 100, {50})
                           .clamp(-std::exp2(format.bits() - 1), std::exp2(format.bits() - 1) - 1);
    const State state = {{"x", codes * std::exp2(-format.fraction_bits)}};
    for (const bool big : {false, true}) {
      const auto report = write_weight_dump(folder_ / "w", state, {true, big, format});
      EXPECT_EQ(report.saturated, 0);
      EXPECT_EQ(std::filesystem::file_size(folder_ / "w"), 50 * format.bytes());
      expect_equal(read_weight_dump(folder_ / "w"), state);
    }
  }
}

TEST(FixedPointFormat, RefusesWhatIsNone) {
  for (const char* text :
       {"", "Q", "3.4", "Q3", "Q3.", "Q-1.4", "Q16.16", "Q3.4 ", "Qx.1", "Q3.100"}) {
    EXPECT_THROW(parse_fixed_point(text), ConfigError) << text;
  }
  EXPECT_EQ(parse_fixed_point("Q15.16").bits(), 32);
}

TEST_F(WeightDump, RefusesValuesThatAreNotFinite) {
  const State state = {{"x", torch::tensor({1.0F, NAN})}};
  EXPECT_THAT(message_of<Error>([&] { write_weight_dump(folder_ / "w", state, {}); }),
              HasSubstr("tensor 'x': it holds"));
}

TEST(FoldedState, HoldsTheWeightsThatAQuantizedNetworkComputesWith) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(6);
  const Graph graph = small_detector();
  QuantizerRegistry registry;
  register_quantizers(registry);
  for (const char* type : {"dorefa", "iao"}) {
    QuantizationConfig config;
    config.type = type;
    config.wbits = 3;
    config.abits = 32;
    config.layers = "all";
    config.final_layer = "true";
    config.options["FOLD"] = "two_pass";
    if (config.type == "dorefa") {
      config.options.clear();
    }
    Detector detector(graph, 3, quantization_methods(registry, config), config);
    randomise(*detector);
    detector->eval();
    const auto images = torch::randn({2, 3, 12, 16});
    const auto expected = detector->forward(images).class_logits;
    const State folded = folded_state(*detector);
    Detector plain(graph, 3, nullptr, QuantizationConfig{});
    load_state_strict(*plain, unfold_batch_norm(graph, folded), "folded");
    plain->eval();
    EXPECT_LT((plain->forward(images).class_logits - expected).abs().max().item<double>(),
              1e-5 * expected.abs().max().item<double>())
        << type;
  }
}

// What an FPGA tool does: quantize the numbers of the folded network and write them in place.
TEST_F(WeightDump, NumbersOfAnotherProgramRunInTheDetector) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  const Graph graph = small_detector();
  Detector detector(graph, 3, nullptr, QuantizationConfig{});
  randomise(*detector);
  detector->eval();
  const auto images = torch::randn({2, 3, 12, 16});
  const auto expected = detector->forward(images).class_logits;
  Detector folded(graph, 3, nullptr, QuantizationConfig{});
  load_state(*folded, state(*detector));
  folded->eval();
  write_weight_dump(folder_ / "w", folded_state(*folded), {false, false, {}});
  const auto run = [&] {
    Detector imported(graph, 3, nullptr, QuantizationConfig{});
    load_state_strict(*imported, unfold_batch_norm(graph, read_weight_dump(folder_ / "w")), "w");
    imported->eval();
    return imported->forward(images).class_logits;
  };
  EXPECT_LT((run() - expected).abs().max().item<double>(),
            1e-5 * expected.abs().max().item<double>());

  std::string coarse;
  for (const std::string& line : split(read_text(folder_ / "w"), '\n')) {
    coarse += line.empty() ? "" : fmt::format("{:.2f}\r\n", std::stod(line));
  }
  write_text(folder_ / "w", coarse);
  EXPECT_THAT(message_of<Error>([&] { read_weight_dump(folder_ / "w"); }),
              HasSubstr("remove crc32"));
  json changed = manifest();
  changed["files"][0].erase("crc32");
  write_text(folder_ / "w.json", changed.dump());
  const double error = (run() - expected).abs().max().item<double>();
  EXPECT_GT(error, 1e-4);
  EXPECT_LT(error, 0.5 * expected.abs().max().item<double>());
}

TEST_F(WeightDump, ADamagedManifestCostsOneSentence) {
  written("w", {true, false, {}});
  const json good = manifest();
  const auto with = [&](const char* pointer, const json& value) {
    json changed = good;
    changed[json::json_pointer(pointer)] = value;
    return error_with(changed);
  };
  EXPECT_THAT(with("/format", "other"), HasSubstr("not ssdq-weights"));
  EXPECT_THAT(with("/version", 2), HasSubstr("version"));
  EXPECT_THAT(with("/endianness", "middle"), HasSubstr("endianness must be"));
  EXPECT_THAT(with("/encoding", 3), HasSubstr("damaged manifest"));
  EXPECT_THAT(with("/type", "fixed"), HasSubstr("damaged manifest"));
  EXPECT_THAT(with("/files/0/name", "../w"), HasSubstr("not the name of a file"));
  EXPECT_THAT(with("/files/0/name", ".."), HasSubstr("not the name of a file"));
  EXPECT_THAT(with("/files/0/crc32", "00000000"), HasSubstr("checksum"));
  EXPECT_THAT(with("/tensors/0/count", 9), HasSubstr("count must be"));
  EXPECT_THAT(with("/tensors/0/count", -1), HasSubstr("count must be"));
  EXPECT_THAT(with("/tensors/0/count", 3), HasSubstr("larger than its data"));
  EXPECT_THAT(with("/tensors/0/offset", 2), HasSubstr("reaches past"));
  EXPECT_THAT(with("/tensors/0/offset", 24), HasSubstr("reaches past"));
  EXPECT_THAT(with("/tensors/0/shape", {2, 1}), HasSubstr("another shape"));
  EXPECT_THAT(with("/tensors/0/shape", {-2, -2}), HasSubstr("a side of a shape"));
  EXPECT_THAT(with("/tensors/0/shape", std::vector<int>(70, 1)), HasSubstr("more than 64 sides"));
  EXPECT_THAT(with("/tensors/1/name", "conv.weight"), HasSubstr("two tensors"));
  EXPECT_THAT(with("/tensors/1/file", "v"), HasSubstr("no file is named"));
  EXPECT_THAT(with("/tensors/1", good["tensors"][0]), HasSubstr("two tensors"));
  EXPECT_THAT(with("/integers/0/values", {0.5}), HasSubstr("no whole number"));
  json fewer = good;
  fewer["tensors"].erase(0);
  EXPECT_THAT(error_with(fewer), HasSubstr("has 8 values and its tensors 4"));
  json twice = good;
  twice["tensors"].push_back(good["tensors"][0]);
  twice["tensors"].back()["name"] = "again";
  EXPECT_THAT(error_with(twice), HasSubstr("overlap"));
  write_text(folder_ / "w.json", good.dump().substr(0, 100));
  EXPECT_THAT(message_of<Error>([&] { read_weight_dump(folder_ / "w"); }),
              HasSubstr("damaged manifest"));
}

TEST_F(WeightDump, AnyDamageIsAnErrorOrTensors) {
  written("w", {true, false, parse_fixed_point("Q3.4")});
  const std::string good = read_text(folder_ / "w.json");
  std::mt19937 random(3);
  const std::string letters = "0123456789-.[]{},:\"eE \x01\xff";
  int errors = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string bad = good;
    for (unsigned k = 0; k <= random() % 3; ++k) {
      bad[random() % bad.size()] = letters[random() % letters.size()];
    }
    write_text(folder_ / "w.json", i % 10 == 0 ? bad.substr(0, random() % bad.size()) : bad);
    try {
      read_weight_dump(folder_ / "w");
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      ++errors;
    }
  }
  EXPECT_GT(errors, 500);
}

TEST_F(WeightDump, DamagedNumbersCostOneSentence) {
  written("w", {false, false, {}});
  json free = manifest();
  free["files"][0].erase("crc32");
  const auto with = [&](const std::string& text) {
    write_text(folder_ / "w", text);
    return error_with(free);
  };
  EXPECT_THAT(with("0.1\n2x\n"), HasSubstr("value 2 is '2x', which is no number"));
  EXPECT_THAT(with("0.1\nnan\n"), HasSubstr("value 2 is not finite"));
  EXPECT_THAT(with("1 2 3"), HasSubstr("count must be"));
  free["type"] = "fixed";
  free["bits"] = 4;
  free["fraction_bits"] = 2;
  EXPECT_THAT(with("1 2 8"), HasSubstr("value 3 is 8; expected a whole number of 4 bits"));
  EXPECT_THAT(with("1 2.5"), HasSubstr("value 2 is 2.5"));
}

}  // namespace
}  // namespace ssdq::testing
