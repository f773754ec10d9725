#include "ssdq/modeling/state.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/modeling/detector.h"
#include "ssdq/utils/error.h"
#include "tests/modeling/graph_builder.h"

namespace ssdq {
namespace {

Detector make_detector() {
  return Detector(testing::small_detector(), 3, nullptr, QuantizationConfig{});
}

TEST(State, NamesTensorsByNodeInOrderAndSharesThem) {
  Detector detector = make_detector();
  const State tensors = state(*detector);
  std::vector<std::string> names;
  for (const auto& entry : tensors) {
    names.push_back(entry.first);
  }
  const std::vector<std::string> first{
      "backbone.0.weight",         "backbone.0.bn.weight",
      "backbone.0.bn.bias",        "backbone.0.bn.running_mean",
      "backbone.0.bn.running_var", "backbone.0.bn.num_batches_tracked",
      "backbone.1.weight"};
  ASSERT_EQ(names.size(), 3 * 6 + 4 * 2U);
  EXPECT_EQ(std::vector<std::string>(names.begin(), names.begin() + 7), first);
  EXPECT_EQ(names.back(), "head.cls.1.bias");
  {
    const torch::NoGradGuard no_grad;
    tensors[0].second.fill_(7);
  }
  EXPECT_EQ(detector->convolutions()[0].second->weight.min().item<float>(), 7);
}

TEST(State, CountsParametersWithoutBuffers) {
  // Convolutions 3*8*9 + 8*8*9 + 8*6*9, batch norms 2*(8+8+6); heads level 0: (8*9+1)*(8+6), level
  // 1: (6*9+1)*(12+9).
  EXPECT_EQ(count_parameters(*make_detector()), 216 + 576 + 432 + 44 + 1022 + 1155);
}

TEST(LoadState, CopiesAllValuesOfAFittingState) {
  const Detector source = make_detector();
  Detector target = make_detector();
  load_state_strict(*target, state(*source), "a file");
  const State a = state(*source), b = state(*target);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(torch::equal(a[i].second, b[i].second)) << a[i].first;
  }
}

TEST(LoadState, StrictLoadingNamesEachDifferenceAndChangesNothing) {
  Detector target = make_detector();
  State source;
  for (const auto& [name, tensor] : state(*target)) {
    source.emplace_back(name, tensor.detach().clone());
  }
  source.erase(source.begin());
  source.emplace_back("extra.weight", torch::zeros({1}));
  source[0] = {source[0].first, torch::ones({9})};
  const torch::Tensor before = target->convolutions()[0].second->bn->bias.detach().clone();
  source[1].second.fill_(5);
  try {
    load_state_strict(*target, source, "x.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "x.safetensors does not fit the model that the config describes:\n"
                 "  other shapes (1): backbone.0.bn.weight: [9] in the file, [8] in the model\n"
                 "  missing from the file (1): backbone.0.weight\n"
                 "  not in the model (1): extra.weight");
  }
  EXPECT_TRUE(torch::equal(target->convolutions()[0].second->bn->bias, before));
  load_state(*target, source);
  EXPECT_EQ(target->convolutions()[0].second->bn->bias.min().item<float>(), 5);
}

}  // namespace
}  // namespace ssdq
