#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.h"
#include "shapes_dataset.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class BadInput : public ShapesTest {
 protected:
  void expect(int status, const std::string& sentence, const std::vector<std::string>& arguments) {
    const auto result = run_tool("train_net", arguments);
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(sentence));
    EXPECT_THAT(result.output, Not(HasSubstr("terminate called")));
    EXPECT_THAT(result.output, Not(HasSubstr("frame #")));
  }

  void expect_override(int status, const std::string& sentence,
                       std::vector<std::string> overrides) {
    overrides.insert(overrides.begin(), {"--config-file", config()});
    expect(status, sentence, overrides);
  }
};

TEST_F(BadInput, Arguments) {
  expect(2, "--config-file is missing", {});
  expect(2, "a configuration is given as --config-file FILE", {config()});
  expect(2, "unrecognised option", {"--config-file", config(), "--verbose"});
  expect(2, "no_such.yaml", {"--config-file", "no_such.yaml"});
  expect(2, dir.string(), {"--config-file", dir.string()});
}

TEST_F(BadInput, Overrides) {
  expect_override(2, "command line: unknown key SOLVER.LRR; did you mean 'LR'?",
                  {"SOLVER.LRR", "1"});
  expect_override(2, "SOLVER.LR", {"SOLVER.LR", "fast"});
  expect_override(2, "SOLVER.LR", {"SOLVER.LR"});
  expect_override(2, "QUANTIZATION.TYPE: unknown name 'doreffa'; did you mean 'dorefa'?",
                  {"QUANTIZATION.TYPE", "doreffa"});
  expect_override(2, "SSDBoxPredictr", {"MODEL.BOX_HEAD.PREDICTOR", "SSDBoxPredictr"});
  expect_override(2, "PRUNE.TYPE: unknown name 'norml'; did you mean 'normal'?",
                  {"PRUNE.TYPE", "norml"});
  expect_override(2, "MODEL.DEVICE: 'cuda' was asked for", {"MODEL.DEVICE", "cuda"});
  expect_override(2, "shapes_trian", {"DATASETS.TRAIN", "[shapes_trian]"});
  expect_override(2, "MODEL.NUM_CLASSES is 7", {"MODEL.NUM_CLASSES", "7"});
  expect_override(2, "no_such.cfg", {"MODEL.BACKBONE.CFG", "no_such.cfg"});
}

TEST_F(BadInput, Weights) {
  expect_override(2, "no file 'missing.safetensors'", {"MODEL.WEIGHTS", "missing.safetensors"});
  std::ofstream(dir / "model.pth") << "PK\x03\x04 not really";
  expect_override(1, ".pth", {"MODEL.WEIGHTS", output("model.pth")});
  std::ofstream(dir / "empty.safetensors").close();
  expect_override(1, "empty.safetensors", {"MODEL.WEIGHTS", output("empty.safetensors")});
}

TEST_F(BadInput, CheckpointOfAnotherGraphListsTheDifferences) {
  ASSERT_EQ(run_tool("train_net", {"--config-file", config(), "SOLVER.MAX_ITER", "1"}).status, 0);
  std::ofstream(dir / "shapes.cfg", std::ios::app)
      << "\n[convolutional]\nfilters=4\nsize=1\nstride=1\npad=0\nactivation=relu\n";
  expect_override(1, "backbone.4.weight", {"--resume"});
}

TEST_F(BadInput, UnwritableOutput) {
  std::ofstream(dir / "file") << "x";
  expect_override(1, output("file"), {"OUTPUT_DIR", output("file/below")});
}

TEST_F(BadInput, Images) {
  std::ofstream(dir / "JPEGImages/shape1.jpg") << "no picture";
  expect_override(1, "shape1.jpg", {"SOLVER.BATCH_SIZE", "18", "SOLVER.MAX_ITER", "1"});
}

TEST_F(BadInput, AnnotationForAMissingImage) {
  fs::remove(dir / "JPEGImages/shape1.jpg");
  expect_override(1, "shape1", {"SOLVER.BATCH_SIZE", "18", "SOLVER.MAX_ITER", "1"});
}

TEST_F(BadInput, FailingEvaluationDoesNotLoseTheTrainedWeights) {
  std::ofstream(dir / "JPEGImages/shape0.jpg") << "no picture";
  expect_override(1, "shape0.jpg", {"SOLVER.MAX_ITER", "2"});
  EXPECT_TRUE(fs::exists(dir / "out/model_final.safetensors"));
}

TEST_F(BadInput, EmptyDataSet) {
  std::ofstream(dir / "ImageSets/Main/train.txt").close();
  expect_override(1, "train.txt: data set shapes_train is empty", {});
}

TEST_F(BadInput, DegenerateBoxUnderTheErrorPolicy) {
  std::ofstream(dir / "Annotations/shape1.xml")
      << "<annotation><filename>shape1.jpg</filename><object><name>box</name><bndbox><xmin>5</"
         "xmin><ymin>5</ymin>"
         "<xmax>5</xmax><ymax>20</ymax></bndbox></object></annotation>";
  expect_override(
      1, "shape1",
      {"DATASETS.BAD_BOXES", "error", "SOLVER.BATCH_SIZE", "18", "SOLVER.MAX_ITER", "1"});
}

TEST_F(BadInput, CheckDataReadsTheSetsOfAConfiguration) {
  const auto clean = run_tool("check_data", {"--config-file", config()});
  EXPECT_EQ(clean.status, 0) << clean.output;
  EXPECT_THAT(clean.output, HasSubstr("nothing wrong"));
  const auto other =
      run_tool("check_data", {"--config-file", config(), "DATASETS.TRAIN", "[shapes_trian]"});
  EXPECT_EQ(other.status, 2) << other.output;
  EXPECT_THAT(other.output, HasSubstr("unknown data set 'shapes_trian'"));
  const auto without = run_tool("check_data", {"DATASETS.TRAIN", "[shapes_train]"});
  EXPECT_EQ(without.status, 2) << without.output;
  EXPECT_THAT(without.output, HasSubstr("add --config-file FILE"));
}

}  // namespace
}  // namespace ssdq::testing
