#include "ssdq/engine/demo.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include <fmt/format.h>
#include <torch/torch.h>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>

#include "ssdq/data/image_reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/inference.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/engine/weights.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/timer.h"
#include "ssdq/visualization/draw.h"
#include "ssdq/visualization/image_io.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kImageExtensions = {".jpg",  ".jpeg", ".png", ".bmp", ".tif",
                                                ".tiff", ".webp", ".ppm", ".pgm"};

// The annotated copy of an image is a PNG or JPEG of the same stem.
fs::path drawn_name(const fs::path& image) {
  const std::string extension = to_lower(image.extension().string());
  const bool kept = extension == ".jpg" || extension == ".jpeg" || extension == ".png";
  return kept ? image.filename() : fs::path(image.filename().string() + ".png");
}

bool is_image(const fs::path& path) {
  return kImageExtensions.count(to_lower(path.extension().string())) != 0;
}

// Detects in images one by one and keeps the running totals.
class Demo {
 public:
  Demo(const Experiment& experiment, Detector detector, std::vector<std::string> class_names,
       const DemoOptions& options)
      : experiment_(experiment),
        detector_(std::move(detector)),
        post_processor_(build_post_processor(experiment)),
        class_names_(std::move(class_names)),
        options_(options) {}

  // The annotated picture; prints the line of `title`.
  cv::Mat show(const std::string& title, const cv::Mat& rgb, double load_ms) {
    const Timer clock;
    const auto found = detect(detector_, post_processor_, experiment_, rgb);
    const double inference_ms = clock.seconds() * 1e3;
    const auto objects = std::count_if(found.begin(), found.end(), [&](const auto& one) {
      return one.score >= options_.score_threshold;
    });
    std::cout << fmt::format("{}: {} objects, load {:.1f} ms, inference {:.1f} ms, {:.1f} FPS\n",
                             title, objects, load_ms, inference_ms, 1e3 / inference_ms);
    ++images_;
    total_ms_ += inference_ms;
    DrawOptions draw;
    draw.score_threshold = options_.score_threshold;
    return draw_detections(rgb, found, class_names_, draw);
  }

  void image(const fs::path& path, const fs::path& output) {
    const Timer clock;
    const cv::Mat rgb = read_image(path.string());
    const double load_ms = clock.seconds() * 1e3;
    write_image(output.string(), show(path.string(), rgb, load_ms));
  }

  void video(cv::VideoCapture& capture, const std::string& title, const fs::path& output);

  void summary() const {
    if (images_ > 0) {
      std::cout << fmt::format(
          "{} images, mean inference {:.1f} ms, {:.1f} FPS; annotated files in {}\n", images_,
          total_ms_ / images_, 1e3 * images_ / total_ms_, options_.output_dir);
    }
  }

 private:
  const Experiment& experiment_;
  Detector detector_;
  PostProcessor post_processor_;
  std::vector<std::string> class_names_;
  const DemoOptions& options_;
  int images_ = 0;
  double total_ms_ = 0;
};

void Demo::video(cv::VideoCapture& capture, const std::string& title, const fs::path& output) {
  cv::VideoWriter writer;
  cv::Mat bgr;
  for (int frame = 0;; ++frame) {
    const Timer clock;
    if (!capture.read(bgr) || bgr.empty()) {
      SSDQ_CHECK(frame > 0,
                 "{}: no frame could be read; expected an image or a video that OpenCV knows",
                 title);
      return;
    }
    cv::Mat rgb;
    cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
    const double load_ms = clock.seconds() * 1e3;
    const cv::Mat drawn = show(fmt::format("{} frame {}", title, frame), rgb, load_ms);
    if (!writer.isOpened()) {
      const double rate = capture.get(cv::CAP_PROP_FPS);
      writer.open(output.string(), cv::VideoWriter::fourcc('M', 'J', 'P', 'G'),
                  rate > 0 ? rate : 25, drawn.size());
      SSDQ_CHECK(writer.isOpened(),
                 "{}: the annotated video cannot be written; is the folder writable?",
                 output.string());
    }
    cv::cvtColor(drawn, bgr, cv::COLOR_RGB2BGR);
    writer.write(bgr);
  }
}

// Input files with the path of their annotated copy below the output folder.
std::vector<std::pair<fs::path, fs::path>> plan(const DemoOptions& options) {
  std::vector<std::pair<fs::path, fs::path>> files;
  const fs::path out = options.output_dir;
  for (const fs::path input : options.inputs) {
    SSDQ_CHECK_CONFIG(fs::exists(input),
                      "{}: no such file or folder; expected an image, a folder or a video",
                      input.string());
    if (!fs::is_directory(input)) {
      files.emplace_back(
          input, is_image(input) ? out / drawn_name(input) : out / input.stem().concat(".avi"));
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(input)) {
      if (entry.is_regular_file() && is_image(entry.path())) {
        inside.push_back(entry.path());
      }
    }
    SSDQ_CHECK_CONFIG(!inside.empty(),
                      "{}: the folder holds no image (jpg, png, bmp, tif, webp, ppm)",
                      input.string());
    std::sort(inside.begin(), inside.end());
    for (const auto& path : inside) {
      files.emplace_back(path, out / drawn_name(path));
    }
  }
  return files;
}

int show_files(Demo& demo, const std::vector<std::pair<fs::path, fs::path>>& files) {
  int status = kExitOk;
  for (const auto& [input, output] : files) {
    try {
      if (is_image(input)) {
        demo.image(input, output);
      } else {
        cv::VideoCapture capture(input.string());
        demo.video(capture, input.string(), output);
      }
    } catch (const Error& error) {
      std::cerr << "demo: " << error.what() << '\n';
      status = kExitFailed;
    }
  }
  return status;
}

}  // namespace

int run_demo(const LoadedConfig& loaded, const DemoOptions& options, Registries& registries) {
  SSDQ_CHECK_CONFIG(options.webcam || !options.inputs.empty(),
                    "nothing to do; expected images, folders, videos or --webcam; see --help");
  SSDQ_CHECK_CONFIG(options.score_threshold >= 0 && options.score_threshold <= 1,
                    "--score-threshold must be in 0..1, got {}", options.score_threshold);
  const auto files = plan(options);
  validate(loaded.config, loaded.origins, known_names(registries));
  const Experiment experiment = build_experiment(loaded.config, loaded.file, registries);
  torch::set_num_threads(experiment.threads.compute);
  Detector detector = build_detector(experiment);
  const auto& weights = options.weights.empty() ? loaded.config.model.weights : options.weights;
  SSDQ_CHECK_CONFIG(!weights.empty(),
                    "no weights; expected --weights FILE or MODEL.WEIGHTS in the configuration");
  const LoadedWeights loaded_weights = load_weights(detector, weights);
  SSDQ_CHECK_CONFIG(loaded_weights.missing_tensors.empty(),
                    "{}: has no ranges for {} quantizers of this configuration; train it first, or "
                    "add the override `QUANTIZATION.TYPE none` to run the float network",
                    weights, owners_of(*detector, loaded_weights.missing_tensors).size());
  detector->eval();
  make_directories(options.output_dir);
  Demo demo(experiment, detector, loaded_weights.class_names, options);
  int status = show_files(demo, files);
  if (options.webcam) {
    cv::VideoCapture capture(0);
    SSDQ_CHECK(capture.isOpened(), "--webcam: no camera could be opened");
    demo.video(capture, "camera", fs::path(options.output_dir) / "webcam.avi");
  }
  demo.summary();
  return status;
}

}  // namespace ssdq
