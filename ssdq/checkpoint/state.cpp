#include "ssdq/checkpoint/state.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace ssdq {
namespace {

std::string shape_of(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "));
}

}  // namespace

std::string list_lines(const char* title, const std::vector<std::string>& lines, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(lines.size(), most); ++i) {
    text += fmt::format("\n  {}: {}", title, lines[i]);
  }
  if (lines.size() > most) {
    text += fmt::format("\n  {}: {} more", title, lines.size() - most);
  }
  return text;
}

std::string describe_differences(const State& expected, const State& found, int most) {
  const std::map<std::string, torch::Tensor> wanted(expected.begin(), expected.end());
  const std::map<std::string, torch::Tensor> given(found.begin(), found.end());
  std::vector<std::string> missing;
  std::vector<std::string> reshaped;
  std::vector<std::string> unknown;
  for (const auto& [name, tensor] : expected) {
    const auto match = given.find(name);
    if (match == given.end()) {
      missing.push_back(fmt::format("{} {}", name, shape_of(tensor)));
    } else if (match->second.sizes() != tensor.sizes()) {
      reshaped.push_back(
          fmt::format("{} {}, expected {}", name, shape_of(match->second), shape_of(tensor)));
    }
  }
  for (const auto& [name, tensor] : found) {
    if (wanted.count(name) == 0) {
      unknown.push_back(fmt::format("{} {}", name, shape_of(tensor)));
    }
  }
  if (missing.empty() && reshaped.empty() && unknown.empty()) {
    return "";
  }
  const auto limit = static_cast<size_t>(std::max(most, 0));
  return fmt::format("{} tensors missing, {} of another shape, {} unknown{}{}{}", missing.size(),
                     reshaped.size(), unknown.size(), list_lines("missing", missing, limit),
                     list_lines("shape", reshaped, limit), list_lines("unknown", unknown, limit));
}

}  // namespace ssdq
