#include "ssdq/modeling/state.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr size_t kNamesShown = 8;

std::string shape_text(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes().vec(), ", "));
}

void append(std::string& text, const char* what, const std::vector<std::string>& names) {
  if (names.empty()) {
    return;
  }
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamesShown));
  text += fmt::format("\n  {} ({}): {}{}", what, names.size(), fmt::join(names.begin(), end, ", "),
                      names.size() > kNamesShown ? ", ..." : "");
}

// Reports how `source` fits and, where `copy` is set, copies what does.
LoadReport compare(torch::nn::Module& module, const State& source, bool copy) {
  const torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> given(source.begin(), source.end());
  LoadReport report;
  for (auto& [name, tensor] : state(module)) {
    const auto found = given.find(name);
    if (found == given.end()) {
      report.missing.push_back(name);
      continue;
    }
    if (found->second.sizes() != tensor.sizes()) {
      report.mismatched.push_back(fmt::format("{}: {} in the file, {} in the model", name,
                                              shape_text(found->second), shape_text(tensor)));
    } else if (copy) {
      torch::Tensor target = tensor;
      target.copy_(found->second);
    }
    given.erase(found);
  }
  for (const auto& entry : source) {
    if (given.count(entry.first) > 0) {
      report.unexpected.push_back(entry.first);
    }
  }
  return report;
}

}  // namespace

State state(const torch::nn::Module& module) {
  State result;
  for (const auto& item : module.named_modules("", true)) {
    const std::string prefix = item.key().empty() ? "" : item.key() + ".";
    for (const auto& parameter : item.value()->named_parameters(false)) {
      result.emplace_back(prefix + parameter.key(), parameter.value());
    }
    for (const auto& buffer : item.value()->named_buffers(false)) {
      result.emplace_back(prefix + buffer.key(), buffer.value());
    }
  }
  return result;
}

State cpu_copy(const torch::nn::Module& module) {
  State copy;
  for (const auto& [name, tensor] : state(module)) {
    copy.emplace_back(name, tensor.detach().to(torch::kCPU, /*non_blocking=*/false, /*copy=*/true));
  }
  return copy;
}

LoadReport load_state(torch::nn::Module& module, const State& source) {
  return compare(module, source, true);
}

void load_state_strict(torch::nn::Module& module, const State& source, const std::string& file) {
  const LoadReport report = compare(module, source, false);
  SSDQ_CHECK(report.fits(), "{}", describe(report, file));
  compare(module, source, true);
}

std::string describe(const LoadReport& report, const std::string& file) {
  if (report.fits()) {
    return fmt::format("{} fits the model", file);
  }
  std::string text = fmt::format("{} does not fit the model that the config describes:", file);
  append(text, "other shapes", report.mismatched);
  append(text, "missing from the file", report.missing);
  append(text, "not in the model", report.unexpected);
  return text;
}

int64_t count_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const torch::Tensor& parameter : module.parameters()) {
    count += parameter.numel();
  }
  return count;
}

void to_channels_last(torch::nn::Module& module) {
  for (torch::Tensor& parameter : module.parameters()) {
    if (parameter.dim() == 4) {
      parameter.set_data(parameter.data().contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
}

}  // namespace ssdq
