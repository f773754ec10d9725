// Seconds and peak memory of one training step (forward, multibox loss, backward, SGD): float and
// every quantization method, in fp32 and bf16, beside the same network as a PyTorch project writes
// it (plain_detector.h). Run in the source folder; see --help.
//
// Every variant lives in a process of its own, for its peak memory. The variants to be compared
// take turns, one step each, so that a busy machine slows all of them alike.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <torch/torch.h>
#include <boost/program_options.hpp>

#include "plain_detector.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/registries.h"
#include "ssdq/layers/autocast.h"
#include "ssdq/layers/multibox_loss.h"
#include "ssdq/modeling/state.h"
#include "ssdq/quantization/policy.h"
#include "ssdq/solver/optimizer.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/memory.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/timer.h"

namespace {

namespace po = boost::program_options;

constexpr double kLargest = std::numeric_limits<double>::max();

struct Settings {
  std::vector<std::string> configs{"configs/vgg_bn_ssd300_quan_w8a8.yaml",
                                   "configs/mobilenet_v2_ssd320_quan_w8a8.yaml"};
  std::vector<std::string> methods;
  int64_t batch = 4;
  int threads = 1;
  int rounds = 5;
  bool bf16 = true;
};

struct Variant {
  std::string method = "none";
  bool bf16 = false;
  bool plain = false;

  std::string name() const {
    return fmt::format("{}{} {}", plain ? "plain " : "", method == "none" ? "float" : method,
                       bf16 ? "bf16" : "fp32");
  }
};

bool has_plain(const std::string& method) {
  return method == "none" || method == "dorefa" || method == "iao";
}

PlainMethod plain_method(const std::string& method) {
  return method == "dorefa" ? PlainMethod::kDoReFa
         : method == "iao"  ? PlainMethod::kIao
                            : PlainMethod::kNone;
}

std::vector<std::string> overrides_of(const Variant& variant) {
  std::vector<std::string> result{"MODEL.DEVICE", "cpu", "QUANTIZATION.TYPE", variant.method};
  if (variant.method != "none") {
    const bool levels = variant.method == "bwn";  // WBITS 3: three values for each weight
    result.insert(result.end(), {"QUANTIZATION.WBITS", levels ? "3" : "8", "QUANTIZATION.ABITS",
                                 levels ? "32" : "8"});
  }
  return result;
}

// A variant in training, always on the same made-up batch.
class Training {
 public:
  Training(const std::string& config_file, const Variant& variant, int64_t batch)
      : registries_(ssdq::builtin_registries()), variant_(variant) {
    const auto loaded = ssdq::load_config(config_file, overrides_of(variant));
    const auto experiment = ssdq::build_experiment(loaded.config, loaded.file, registries_);
    torch::manual_seed(1);
    ours_ = ssdq::build_detector(experiment);
    const auto plan = ssdq::plan_quantization(experiment.graph, loaded.config.quantization);
    SSDQ_CHECK(plan.empty() == (variant.method == "none"),
               "{}: QUANTIZATION.TYPE {} quantizes no layer", config_file, variant.method);
    if (variant.plain) {
      plain_ = PlainDetector(experiment.graph, loaded.config.model.num_classes,
                             plain_method(variant.method), plan);
      plain_->copy_from(ssdq::state(*ours_));
      ours_ = nullptr;
    }
    optimizer_ = ssdq::make_optimizer(module(), loaded.config.solver);
    ssdq::set_learning_rate(*optimizer_, 1e-4);
    make_batch(loaded.config.input.image_size, batch,
               static_cast<int64_t>(experiment.priors.size()));
    if (!variant.plain && ssdq::use_channels_last(experiment)) {
      images_ = images_.contiguous(torch::MemoryFormat::ChannelsLast);
    }
    const torch::NoGradGuard no_grad;
    loss();  // sets the ranges, as calibration does before the first step
  }

  torch::Tensor loss() {
    ssdq::DetectorOutput output;
    {
      const ssdq::Bf16Autocast autocast(torch::kCPU, variant_.bf16);
      output = variant_.plain ? plain_->forward(images_) : ours_->forward(images_);
    }
    const auto terms =
        ssdq::multibox_loss(output.class_logits, output.box_regression, labels_, targets_, 3);
    return terms.classification + terms.localization;
  }

  double step() {
    const ssdq::Timer timer;
    const torch::Tensor total = loss();
    optimizer_->zero_grad();
    total.backward();
    optimizer_->step();
    return timer.seconds();
  }

 private:
  torch::nn::Module& module() {
    return variant_.plain ? static_cast<torch::nn::Module&>(*plain_) : *ours_;
  }

  void make_batch(ssdq::Size2 size, int64_t batch, int64_t priors) {
    torch::manual_seed(2);
    images_ = torch::randn({batch, 3, size.height, size.width});
    targets_ = torch::randn({batch, priors, 4});
    labels_ = torch::zeros({batch, priors}, torch::kInt64);
    labels_.index_fill_(1, torch::randperm(priors).slice(0, 0, 20), 1);
  }

  ssdq::Registries registries_;
  Variant variant_;
  ssdq::Detector ours_{nullptr};
  PlainDetector plain_{nullptr};
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  torch::Tensor images_, targets_, labels_;
};

// A process that trains one variant: answers each byte with the seconds of a step, or with its
// peak memory when asked for that.
class Worker {
 public:
  Worker(const std::string& config_file, const Variant& variant, const Settings& settings) {
    int request[2], answer[2];
    SSDQ_CHECK(::pipe(request) == 0 && ::pipe(answer) == 0, "no pipe: too many open files");
    std::cout.flush();
    process_ = ::fork();
    SSDQ_CHECK(process_ >= 0, "cannot start a process");
    if (process_ == 0) {
      ::close(request[1]);
      ::close(answer[0]);
      ::_exit(ssdq::run_tool("bench_qat", [&] {
        serve(config_file, variant, settings, request[0], answer[1]);
        return ssdq::kExitOk;
      }));
    }
    ::close(request[0]);
    ::close(answer[1]);
    request_ = request[1];
    answer_ = answer[0];
  }

  ~Worker() {
    const bool told = ::write(request_, "q", 1) == 1;  // later workers hold this pipe open too
    static_cast<void>(told);                           // one that failed is gone already
    ::close(request_);
    ::close(answer_);
    ::waitpid(process_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  double loss() { return ask('l'); }
  double step() { return ask('s'); }
  double peak_mb() { return ask('m'); }

 private:
  static void serve(const std::string& config_file, const Variant& variant,
                    const Settings& settings, int request, int answer) {
    torch::set_num_threads(settings.threads);
    Training training(config_file, variant, settings.batch);
    char question = 0;
    while (::read(request, &question, 1) == 1 && question != 'q') {
      const double value = question == 's'   ? training.step()
                           : question == 'l' ? training.loss().item<double>()
                                             : ssdq::peak_rss_mb();
      SSDQ_CHECK(::write(answer, &value, sizeof(value)) == sizeof(value), "the parent is gone");
    }
  }

  double ask(char question) {
    double value = 0;
    SSDQ_CHECK(::write(request_, &question, 1) == 1 &&
                   ::read(answer_, &value, sizeof(value)) == sizeof(value),
               "a training process ended early; its message is above");
    return value;
  }

  pid_t process_ = -1;
  int request_ = -1, answer_ = -1;
};

struct Result {
  double median = kLargest, best = kLargest, peak_mb = 0;
};

Result summarize(std::vector<double> seconds, double peak_mb) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), peak_mb};
}

// The same network in both ways must give the same loss.
void check_losses(Worker& ours, Worker& plain, const std::string& config_file) {
  const double expected = ours.loss(), found = plain.loss();
  SSDQ_CHECK(std::abs(found - expected) <= 1e-3 * std::abs(expected),
             "{}: the plain network's loss is {}, ours {}", config_file, found, expected);
}

// Variants that take turns: [0] is ours in float, [1] the plain float one.
std::vector<Result> measure(const std::string& config_file, const std::vector<Variant>& variants,
                            const Settings& settings) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (const Variant& variant : variants) {
    workers.push_back(std::make_unique<Worker>(config_file, variant, settings));
  }
  if (!variants[0].bf16) {
    check_losses(*workers[0], *workers[1], config_file);
  }
  std::vector<std::vector<double>> seconds(variants.size());
  for (int round = -1; round < settings.rounds; ++round) {
    for (size_t i = 0; i < workers.size(); ++i) {
      const double taken = workers[i]->step();
      if (round >= 0) {
        seconds[i].push_back(taken);
      }
    }
  }
  std::vector<Result> results;
  for (size_t i = 0; i < workers.size(); ++i) {
    results.push_back(summarize(seconds[i], workers[i]->peak_mb()));
  }
  return results;
}

// Ratios are those of the fastest steps and belong to the turns of the row.
void print_row(const Variant& variant, const Result& result, const Result& ours,
               const Result& plain) {
  std::cout << fmt::format("{:20} {:8.3f} {:8.3f} {:8.3f} {:8.3f} {:8.0f} {:8.3f}\n",
                           variant.name(), result.median, result.best, result.best / ours.best,
                           result.best / plain.best, result.peak_mb, result.peak_mb / ours.peak_mb)
            << std::flush;
}

void compare(const std::string& config_file, const Settings& settings) {
  std::cout << fmt::format("\n{}\n{:20} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n", config_file,
                           "variant", "median s", "min s", "/ float", "/ plain", "peak MB",
                           "/ float");
  auto methods = settings.methods;
  if (methods.empty()) {
    methods.emplace_back("none");
  }
  for (int bf16 = 0; bf16 <= (settings.bf16 ? 1 : 0); ++bf16) {
    for (size_t i = 0; i < methods.size(); ++i) {
      std::vector<Variant> variants{{"none", bf16 == 1, false}, {"none", false, true}};
      if (methods[i] != "none") {
        variants.push_back({methods[i], bf16 == 1, false});
      }
      if (methods[i] != "none" && bf16 == 0 && has_plain(methods[i])) {
        variants.push_back({methods[i], false, true});
      }
      const auto results = measure(config_file, variants, settings);
      for (size_t row = i == 0 ? 0 : 2; row < variants.size(); ++row) {
        if (row != 1 || bf16 == 0) {
          print_row(variants[row], results[row], results[0], results[1]);
        }
      }
    }
  }
}

// False when only the help was wanted.
bool parse(int argc, char** argv, Settings& settings) {
  std::vector<std::string> configs;
  std::string methods =
      fmt::format("{}", fmt::join(ssdq::builtin_registries().quantizers.names(), ","));
  po::options_description options("Options");
  auto add = options.add_options();
  add("config", po::value(&configs)->composing(),
      "YAML, may be repeated (default: VGG, MobileNet)");
  add("batch", po::value(&settings.batch)->default_value(settings.batch), "images per step");
  add("threads", po::value(&settings.threads)->default_value(settings.threads), "threads");
  add("rounds", po::value(&settings.rounds)->default_value(settings.rounds), "steps of each");
  add("methods", po::value(&methods)->default_value(methods), "of QUANTIZATION.TYPE, or none");
  add("no-bf16", "fp32 only");
  add("help,h", "print this");
  po::variables_map values;
  try {
    po::store(po::parse_command_line(argc, argv, options), values);
  } catch (const po::error& error) {
    ssdq::fail_config("{}; see --help", error.what());
  }
  po::notify(values);
  SSDQ_CHECK_CONFIG(settings.batch > 0 && settings.threads > 0 && settings.rounds > 0,
                    "--batch, --threads and --rounds must be at least 1");
  settings.configs = configs.empty() ? settings.configs : configs;
  settings.methods = ssdq::split(methods, ',');
  settings.bf16 = values.count("no-bf16") == 0;
  if (values.count("help") > 0) {
    std::cout << "Seconds of a training step, side by side.\n\n" << options;
  }
  return values.count("help") == 0;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  return ssdq::run_tool("bench_qat", [&] {
    Settings settings;
    if (!parse(argc, argv, settings)) {
      return ssdq::kExitOk;
    }
    std::cout << fmt::format(
        "batch {}, {} thread(s), {} rounds; ratios of the fastest steps, of memory at the right\n",
        settings.batch, settings.threads, settings.rounds);
    for (const std::string& config : settings.configs) {
      compare(config, settings);
    }
    return ssdq::kExitOk;
  });
}
