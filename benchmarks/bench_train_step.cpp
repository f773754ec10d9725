// Seconds of one training step (forward, multibox loss, backward, SGD), float and W8A8, side by
// side:
//   bench_train_step [BATCH_SIZE [THREADS [STEPS]]]
// Run in the source folder. The fastest step counts, after two to warm up.

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/registries.h"
#include "ssdq/layers/autocast.h"
#include "ssdq/layers/multibox_loss.h"
#include "ssdq/solver/optimizer.h"
#include "ssdq/utils/timer.h"

namespace {

struct Setting {
  int64_t batch_size = 4;
  int steps = 5;
};

double seconds_per_step(const std::string& config_file, const std::vector<std::string>& overrides,
                        const Setting& setting) {
  auto registries = ssdq::builtin_registries();
  const auto loaded = ssdq::load_config(config_file, overrides);
  const auto experiment = ssdq::build_experiment(loaded.config, loaded.file, registries);
  auto detector = ssdq::build_detector(experiment);
  const auto optimizer = ssdq::make_optimizer(*detector, loaded.config.solver);
  const auto size = loaded.config.input.image_size;
  const auto priors = static_cast<int64_t>(experiment.priors.size());
  const auto images = torch::randn({setting.batch_size, 3, size.height, size.width})
                          .contiguous(torch::MemoryFormat::ChannelsLast);
  auto labels = torch::zeros({setting.batch_size, priors}, torch::kInt64);
  labels.slice(1, 0, 20).fill_(1);
  const auto targets = torch::zeros({setting.batch_size, priors, 4});
  ssdq::set_learning_rate(*optimizer, 1e-4);
  double best = std::numeric_limits<double>::max();
  for (int step = 0; step < setting.steps + 2; ++step) {
    const ssdq::Timer timer;
    ssdq::DetectorOutput output;
    {
      const ssdq::Bf16Autocast autocast(experiment.device, loaded.config.solver.bf16);
      output = detector->forward(images);
    }
    const auto loss =
        ssdq::multibox_loss(output.class_logits, output.box_regression, labels, targets, 3);
    optimizer->zero_grad();
    (loss.classification + loss.localization).backward();
    optimizer->step();
    if (step >= 2) {
      best = std::min(best, timer.seconds());
    }
  }
  return best;
}

void compare(const std::string& name, const std::string& config_file, const Setting& setting) {
  const std::vector<std::string> cpu = {"MODEL.DEVICE", "cpu"};
  auto plain = cpu;
  plain.insert(plain.end(), {"QUANTIZATION.TYPE", "none"});
  for (const bool bf16 : {false, true}) {
    auto with = cpu;
    auto without = plain;
    with.insert(with.end(), {"SOLVER.BF16", bf16 ? "true" : "false"});
    without.insert(without.end(), {"SOLVER.BF16", bf16 ? "true" : "false"});
    const double off = seconds_per_step(config_file, without, setting);
    const double on = seconds_per_step(config_file, with, setting);
    std::cout << fmt::format("{:20} {:5} {:10.3f} {:10.3f} {:8.3f}\n", name, bf16 ? "bf16" : "fp32",
                             off, on, on / off);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return ssdq::run_tool("bench_train_step", [&] {
    Setting setting;
    setting.batch_size = argc > 1 ? std::atoi(argv[1]) : setting.batch_size;
    torch::set_num_threads(argc > 2 ? std::atoi(argv[2]) : 1);
    setting.steps = argc > 3 ? std::atoi(argv[3]) : setting.steps;
    std::cout << fmt::format("batch {}, {} threads; s per step\n{:20} {:5} {:>10} {:>10} {:>8}\n",
                             setting.batch_size, torch::get_num_threads(), "model", "type", "float",
                             "W8A8", "ratio");
    compare("vgg_bn_ssd300", "configs/vgg_bn_ssd300_quan_w8a8.yaml", setting);
    compare("mobilenet_v2_ssd320", "configs/mobilenet_v2_ssd320_quan_w8a8.yaml", setting);
    compare("vgg_mini_ssd300", "configs/vgg_mini_ssd300_bccd_quan_w8a8.yaml", setting);
    return ssdq::kExitOk;
  });
}
