#pragma once

#include <filesystem>
#include <string>

namespace ssdq::testing {

// What is in a file; empty when there is none.
std::string read(const std::filesystem::path& path);

// Of two checkpoints of a run, with optimizer and averages: names, order and bits.
void expect_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace ssdq::testing
