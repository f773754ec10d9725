#include "run_files.h"

#include <cstring>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "ssdq/checkpoint/safetensors.h"

namespace ssdq::testing {

std::string read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void expect_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto left = read_safetensors(a.string()).tensors;
  const auto right = read_safetensors(b.string()).tensors;
  ASSERT_EQ(left.size(), right.size());
  ASSERT_GT(left.size(), 40U);
  for (size_t i = 0; i < left.size(); ++i) {
    const auto& [name, tensor] = left[i];
    ASSERT_EQ(name, right[i].first);
    ASSERT_EQ(tensor.nbytes(), right[i].second.nbytes()) << name;
    EXPECT_EQ(std::memcmp(tensor.data_ptr(), right[i].second.data_ptr(), tensor.nbytes()), 0)
        << name;
  }
}

}  // namespace ssdq::testing
