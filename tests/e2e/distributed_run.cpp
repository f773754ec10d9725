#include "distributed_run.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>

#include "run_files.h"
#include "ssdq/checkpoint/safetensors.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;

template <typename Condition>
bool wait_until(const Condition& condition) {
  for (int tries = 0; tries < 30000; ++tries) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

double relative_difference(const torch::Tensor& expected, const torch::Tensor& found) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (expected.dtype() != found.dtype() || expected.sizes() != found.sizes()) {
    return kInfinite;
  }
  if (!expected.is_floating_point()) {
    return expected.equal(found) ? 0 : kInfinite;
  }
  if (expected.numel() == 0) {
    return 0;
  }
  const auto wide = expected.to(torch::kFloat64);
  const double largest = wide.abs().max().item<double>();
  const double difference = (found.to(torch::kFloat64) - wide).abs().max().item<double>();
  return difference == 0 ? 0 : difference / largest;
}

}  // namespace

EnvironmentScope::EnvironmentScope(const Variables& variables) : variables_(variables) {
  for (const auto& [name, value] : variables_) {
    setenv(name.c_str(), value.c_str(), 1);
  }
}

EnvironmentScope::~EnvironmentScope() {
  for (const auto& variable : variables_) {
    unsetenv(variable.first.c_str());
  }
}

void DistributedRun::SetUp() {
  ShapesTest::SetUp();
  write_shapes_experiment(dir, 28);
}

DistributedRun::Arguments DistributedRun::arguments(const std::string& name, int ranks,
                                                    const Arguments& more) const {
  Arguments all{"--config-file", config()};
  if (ranks > 0) {
    all.insert(all.end(), {"--num-procs", std::to_string(ranks)});
  }
  all.insert(all.end(), {"NUM_THREADS", "1", "OUTPUT_DIR", output(name)});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

ProcessResult DistributedRun::train(const std::string& name, int ranks,
                                    const Arguments& more) const {
  auto result = run_tool("train_net", arguments(name, ranks, more));
  EXPECT_EQ(result.status, 0) << result.output;
  return result;
}

std::string DistributedRun::content(const std::string& name) const { return read(dir / name); }

std::vector<pid_t> DistributedRun::processes() const {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); }) &&
        read(entry.path() / "cmdline").find(dir.string()) != std::string::npos) {
      found.push_back(std::stoi(name));
    }
  }
  return found;
}

pid_t DistributedRun::process_of_rank(int rank) const {
  // Variables are separated by zero bytes.
  const std::string variable = '\0' + ("RANK=" + std::to_string(rank)) + '\0';
  pid_t found = 0;
  wait_until([&] {
    for (const pid_t pid : processes()) {
      const auto variables = '\0' + read("/proc/" + std::to_string(pid) + "/environ");
      found = variables.find(variable) == std::string::npos ? found : pid;
    }
    return found != 0;
  });
  return found;
}

bool DistributedRun::wait_for_file(const std::string& name) const {
  return wait_until([&] { return fs::exists(dir / name); });
}

Difference largest_difference(const std::string& expected, const std::string& found) {
  const auto left = read_safetensors(expected).tensors;
  const auto right = read_safetensors(found).tensors;
  if (left.size() != right.size() || left.empty()) {
    return {std::numeric_limits<double>::infinity(), "number of tensors"};
  }
  Difference largest;
  for (size_t i = 0; i < left.size(); ++i) {
    const auto& [name, tensor] = left[i];
    const double difference = name == right[i].first ? relative_difference(tensor, right[i].second)
                                                     : std::numeric_limits<double>::infinity();
    if (!(difference <= largest.relative)) {
      largest = {difference, name};
    }
  }
  return largest;
}

bool same_bits(const std::string& a, const std::string& b) {
  const auto left = read_safetensors(a).tensors;
  const auto right = read_safetensors(b).tensors;
  return !left.empty() &&
         std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const auto& one, const auto& other) {
                      return one.first == other.first &&
                             one.second.nbytes() == other.second.nbytes() &&
                             std::memcmp(one.second.data_ptr(), other.second.data_ptr(),
                                         one.second.nbytes()) == 0;
                    });
}

}  // namespace ssdq::testing
