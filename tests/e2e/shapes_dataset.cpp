#include "shapes_dataset.h"

#include <stdlib.h>

#include <fstream>
#include <random>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 96;

constexpr const char* kCfg = R"(# A network of a few thousand weights with maps of 12x12 and 6x6.
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=relu

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=relu
quantization=1

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=relu
quantization=1
feature=linear
feature_idx=0

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=relu
quantization=1
feature=linear
feature_idx=1
)";

std::string yaml(const fs::path& dir) {
  return R"(MODEL:
  NUM_CLASSES: 3
  DEVICE: cpu
  BACKBONE: {CFG: shapes.cfg}
  PRIORS:
    STRIDES: [8, 16]
    MIN_SIZES: [16, 32]
    MAX_SIZES: [32, 64]
    ASPECT_RATIOS: [[2], [2]]
    BOXES_PER_LOCATION: [4, 4]
INPUT: {IMAGE_SIZE: 96}
DATASETS:
  TRAIN: [shapes_train]
  TEST: [shapes_test]
  DEFINE:
    shapes_train: {FORMAT: voc, ROOT: )" +
         dir.string() + R"(, SPLIT: train, CLASSES: [box, disc]}
    shapes_test: {FORMAT: voc, ROOT: )" +
         dir.string() + R"(, SPLIT: test, CLASSES: [box, disc]}
SOLVER: {MAX_ITER: 20, LR_STEPS: [15], BATCH_SIZE: 4, LR: 0.01, WARMUP_ITERS: 5, LOG_PERIOD: 1, CHECKPOINT_PERIOD: 10}
TEST: {BATCH_SIZE: 4}
OUTPUT_DIR: )" +
         (dir / "out").string() + "\n";
}

std::string draw_object(cv::Mat& image, std::mt19937& random) {
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low));
  };
  const int side = pick(20, 44);
  const int x = pick(0, kSide - side);
  const int y = pick(0, kSide - side);
  const bool disc = random() % 2 == 0;
  const cv::Scalar color(pick(150, 255), pick(0, 255), pick(0, 100));
  if (disc) {
    cv::circle(image, {x + side / 2, y + side / 2}, side / 2, color, cv::FILLED);
  } else {
    cv::rectangle(image, {x, y, side, side}, color, cv::FILLED);
  }
  const auto tag = [](const char* name, int value) {
    return std::string("<") + name + ">" + std::to_string(value) + "</" + name + ">";
  };
  return std::string("<object><name>") + (disc ? "disc" : "box") + "</name><bndbox>" +
         tag("xmin", x + 1) + tag("ymin", y + 1) + tag("xmax", x + side) + tag("ymax", y + side) +
         "</bndbox></object>\n";
}

}  // namespace

void write_shapes_experiment(const fs::path& dir, int num_images) {
  for (const char* folder : {"JPEGImages", "Annotations", "ImageSets/Main"}) {
    fs::create_directories(dir / folder);
  }
  std::mt19937 random(7);
  std::ofstream train(dir / "ImageSets/Main/train.txt");
  std::ofstream test(dir / "ImageSets/Main/test.txt");
  for (int i = 0; i < num_images; ++i) {
    const std::string name = "shape" + std::to_string(i);
    cv::Mat image(kSide, kSide, CV_8UC3, cv::Scalar(90, 90, 90));
    std::string xml = "<annotation><filename>" + name + ".jpg</filename>\n";
    for (unsigned objects = 1 + random() % 2; objects > 0; --objects) {
      xml += draw_object(image, random);
    }
    cv::imwrite((dir / "JPEGImages" / (name + ".jpg")).string(), image);
    std::ofstream(dir / "Annotations" / (name + ".xml")) << xml << "</annotation>\n";
    (i % 4 == 0 ? test : train) << name << '\n';
  }
  std::ofstream(dir / "shapes.cfg") << kCfg;
  std::ofstream(dir / "shapes.yaml") << yaml(dir);
}

void ShapesTest::SetUp() {
  std::string name = (fs::temp_directory_path() / "ssdq_shapes_XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  dir = name;
  write_shapes_experiment(dir, 24);
}

void ShapesTest::TearDown() { fs::remove_all(dir); }

}  // namespace ssdq::testing
