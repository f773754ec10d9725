#pragma once

#include <string>

#include "ssdq/config/reader.h"
#include "ssdq/engine/registries.h"

namespace ssdq {

struct TrainOptions {
  bool resume = false;
  bool eval_only = false;
  bool print_quantization = false;  // print the table and leave
  bool dry_run = false;             // build everything, one step, write nothing
};

// The job of `train_net`: trains as the configuration says, evaluates at the end, writes to
// OUTPUT_DIR. Returns the exit status (engine/launch.h). Throws ConfigError or Error.
int run_training(const LoadedConfig& loaded, const TrainOptions& options, Registries& registries);

}  // namespace ssdq
