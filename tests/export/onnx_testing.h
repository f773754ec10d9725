#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ssdq/export/onnx_file.h"

namespace ssdq::testing {

// A tensor as ONNX Runtime gives it.
struct RunValue {
  std::vector<int64_t> dims;
  std::vector<float> values;
};

// Outputs of one run by name.
using RunOutputs = std::map<std::string, RunValue>;

// Why ONNX Runtime cannot be run here, after trying to install it once; empty when it can.
const std::string& runtime_problem();

// Runs a model on inputs [N, C, H, W], one run for each. A failure of the runtime is a failed
// assertion and gives no outputs.
std::vector<RunOutputs> run_onnx(const OnnxModel& model, const std::vector<RunValue>& inputs);

// Why Python's onnx cannot be used here; empty when it can.
const std::string& checker_problem();

// What onnx.checker and strict shape inference say against a model; empty when it is valid.
std::string check_onnx(const OnnxModel& model);

// What a Python program prints that finds the model's file in sys.argv[1].
std::string python_about(const OnnxModel& model, const std::string& program);

// Largest difference of the values, as a fraction of the largest magnitude in `expected`; infinite
// when their numbers differ.
double relative_difference(const std::vector<float>& actual, const std::vector<float>& expected);

}  // namespace ssdq::testing

// Skips the test, with the reason, where the tool is missing.
#define SSDQ_NEEDS_ONNXRUNTIME()                                          \
  if (const auto& why = ssdq::testing::runtime_problem(); !why.empty()) { \
    GTEST_SKIP() << why;                                                  \
  }
#define SSDQ_NEEDS_CHECKER()                                              \
  if (const auto& why = ssdq::testing::checker_problem(); !why.empty()) { \
    GTEST_SKIP() << why;                                                  \
  }
