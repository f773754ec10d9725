#include <iostream>
#include <string>
#include <vector>

#include "log2_quantizer.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/registries.h"
#include "ssdq/engine/training.h"

// log2_train CONFIG [KEY VALUE ...]: what train_net does, with the quantizer log2 beside the
// others.
int main(int argc, char** argv) {
  return ssdq::run_tool("log2_train", [&] {
    if (argc < 2) {
      std::cerr << "usage: log2_train CONFIG [KEY VALUE ...]\n";
      return ssdq::kExitUsage;
    }
    auto registries = ssdq::builtin_registries();
    registries.quantizers.add("log2", "weights of a sign and a power of two", make_log2);
    const auto loaded = ssdq::load_config(argv[1], std::vector<std::string>(argv + 2, argv + argc));
    return ssdq::run_training(loaded, {}, registries);
  });
}
