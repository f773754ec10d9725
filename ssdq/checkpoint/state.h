#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

namespace ssdq {

// Tensors by name, in the order of their owner.
using State = std::vector<std::pair<std::string, torch::Tensor>>;

// What keeps `found` from being loaded where `expected` is wanted: the names only one of them has
// and the shapes that differ, a line each (at most `most` of a kind, then their number), after a
// line that counts them. Empty when names and shapes agree; order and type do not matter.
std::string describe_differences(const State& expected, const State& found, int most = 10);

// The first `most` lines, each on a line of its own as "  title: line", and how many more there
// are.
std::string list_lines(const char* title, const std::vector<std::string>& lines, size_t most);

}  // namespace ssdq
