#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

namespace ssdq::testing {

// Writes a VOC-layout data set of grey images with one or two filled rectangles (class "box") and
// discs ("disc"), splits train and test, and a two-level detector for it: shapes.cfg and
// shapes.yaml.
void write_shapes_experiment(const std::filesystem::path& dir, int num_images);

// A fixture with such an experiment in a temporary folder of its own.
class ShapesTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string config() const { return (dir / "shapes.yaml").string(); }
  std::string output(const std::string& name) const { return (dir / name).string(); }

  std::filesystem::path dir;
};

}  // namespace ssdq::testing
