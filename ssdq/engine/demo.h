#pragma once

#include <string>
#include <vector>

#include "ssdq/config/reader.h"
#include "ssdq/engine/registries.h"

namespace ssdq {

struct DemoOptions {
  std::vector<std::string> inputs;  // image files, folders, videos
  std::string weights;              // empty: MODEL.WEIGHTS
  std::string output_dir = "outputs/demo";
  float score_threshold = 0.7F;  // least score drawn, 0..1
  bool webcam = false;
};

// The job of `demo`: detects in each input, writes an annotated file of the same name below
// output_dir and prints the number of objects, load and inference milliseconds, and the mean rate.
// A file that cannot be read is reported and passed over; the exit status is then 1.
int run_demo(const LoadedConfig& loaded, const DemoOptions& options, Registries& registries);

}  // namespace ssdq
