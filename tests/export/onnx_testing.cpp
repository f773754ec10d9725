#include "onnx_testing.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <sstream>

#include <gtest/gtest.h>

#include "../utils/temp_folder.h"
#include "ssdq/utils/strings.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSources = SSDQ_SOURCE_DIR "/tests/export";

struct Command {
  int status = 0;
  std::string output;  // stdout and stderr
};

std::string quoted(const std::string& word) { return "'" + word + "'"; }

Command run_command(const std::string& line) {
  Command result;
  FILE* pipe = popen((line + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    return {127, "no shell"};
  }
  std::array<char, 4096> block{};
  for (size_t count; (count = fread(block.data(), 1, block.size(), pipe)) > 0;) {
    result.output.append(block.data(), count);
  }
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return result;
}

// Installs the package beside the build, once.
std::string prepare_runtime() {
  if (std::getenv("SSDQ_NO_ONNXRUNTIME") != nullptr) {
    return "SSDQ_NO_ONNXRUNTIME is set";
  }
  if (run_command("node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'").status !=
      0) {
    return "ONNX Runtime is run by node 18 or later, which was not found (Debian: apt-get install "
           "nodejs npm)";
  }
  const fs::path folder = SSDQ_ONNXRUNTIME_DIR;
  if (fs::exists(folder / "node_modules/onnxruntime-node")) {
    return "";
  }
  fs::create_directories(folder);
  for (const char* file : {"package.json", "package-lock.json"}) {
    fs::copy_file(fs::path(kSources) / "onnxruntime" / file, folder / file,
                  fs::copy_options::overwrite_existing);
  }
  const auto installed = run_command("cd " + quoted(folder.string()) +
                                     " && ONNXRUNTIME_NODE_INSTALL=skip timeout 180 npm ci "
                                     "--ignore-scripts --no-audit --no-fund");
  return installed.status == 0 ? ""
                               : "the npm package onnxruntime-node could not be installed: " +
                                     installed.output.substr(0, installed.output.find('\n'));
}

std::vector<float> floats_of(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

std::string save(const TempFolder& folder, const OnnxModel& model) {
  const std::string path = folder / "model.onnx";
  write_text(path, serialize(model));
  return path;
}

std::string comma_separated(const std::vector<int64_t>& dims) {
  std::vector<std::string> words;
  for (const int64_t dim : dims) {
    words.push_back(std::to_string(dim));
  }
  return join(words, ",");
}

std::vector<RunOutputs> read_outputs(const TempFolder& folder, size_t runs) {
  std::vector<RunOutputs> outputs(runs);
  std::istringstream lines(read_text(folder / "outputs.txt"));
  std::string run, name, dims;
  while (lines >> run >> name >> dims) {
    RunValue& value = outputs.at(std::stoul(run))[name];
    for (const auto& word : split(dims, ',')) {
      value.dims.push_back(std::stoll(word));
    }
    value.values = floats_of(read_text(folder / (run + "." + name + ".f32")));
  }
  return outputs;
}

// The Python that has the module onnx; empty if none.
const std::string& python() {
  static const std::string found = [] {
    for (const char* name : {"python3", "/usr/bin/python3"}) {
      if (run_command(std::string(name) + " -c 'import onnx'").status == 0) {
        return std::string(name);
      }
    }
    return std::string();
  }();
  return found;
}

}  // namespace

const std::string& runtime_problem() {
  static const std::string problem = prepare_runtime();
  return problem;
}

std::vector<RunOutputs> run_onnx(const OnnxModel& model, const std::vector<RunValue>& inputs) {
  const TempFolder folder;
  std::string bytes;
  std::string shapes;
  for (const RunValue& input : inputs) {
    bytes.append(reinterpret_cast<const char*>(input.values.data()),
                 input.values.size() * sizeof(float));
    shapes += " " + comma_separated(input.dims);
  }
  write_text(folder / "input.f32", bytes);
  const auto run = run_command("node " + quoted(std::string(kSources) + "/run_onnx.js") + " " +
                               quoted(SSDQ_ONNXRUNTIME_DIR) + " " + quoted(save(folder, model)) +
                               " " + quoted(folder.path()) + shapes);
  EXPECT_EQ(run.status, 0) << run.output;
  return run.status == 0 ? read_outputs(folder, inputs.size()) : std::vector<RunOutputs>();
}

const std::string& checker_problem() {
  static const std::string problem =
      python().empty() ? "Python's onnx was not found (Debian: apt-get install python3-onnx)" : "";
  return problem;
}

std::string python_about(const OnnxModel& model, const std::string& program) {
  const TempFolder folder;
  write_text(folder / "program.py", program);
  return run_command(python() + " " + quoted(folder / "program.py") + " " +
                     quoted(save(folder, model)))
      .output;
}

std::string check_onnx(const OnnxModel& model) {
  return python_about(model,
                      "import onnx, sys\n"
                      "model = onnx.load(sys.argv[1])\n"
                      "onnx.checker.check_model(model, full_check=True)\n"
                      "onnx.shape_inference.infer_shapes(model, strict_mode=True)\n");
}

double relative_difference(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) {
    return std::numeric_limits<double>::infinity();
  }
  double largest = 0, difference = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    largest = std::max(largest, std::abs(double{expected[i]}));
    const double here = std::abs(double{actual[i]} - double{expected[i]});
    difference = here <= difference ? difference : here;  // takes NaN over
  }
  return largest == 0 ? difference : difference / largest;
}

}  // namespace ssdq::testing
