#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "process.h"
#include "shapes_dataset.h"

namespace ssdq::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DemoTool : public ShapesTest {
 protected:
  void SetUp() override {
    ShapesTest::SetUp();
    const auto trained = run_tool("train_net", {"--config-file", config(), "SOLVER.MAX_ITER", "1"});
    ASSERT_EQ(trained.status, 0) << trained.output;
  }

  ProcessResult demo(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--config-file", config(), "--weights", output("out/model_final.safetensors"),
                      "--output", output("drawn")});
    return run_tool("demo", arguments);
  }
};

TEST_F(DemoTool, DrawsEveryImageOfAFolder) {
  const auto result = demo({output("JPEGImages")});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("24 images"));
  EXPECT_THAT(result.output, HasSubstr("FPS"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir / "drawn"), fs::directory_iterator()), 24);
}

TEST_F(DemoTool, AcceptsGreySixteenBitAndAlphaImages) {
  cv::imwrite(output("grey.png"), cv::Mat(50, 70, CV_8UC1, cv::Scalar(100)));
  cv::imwrite(output("deep.png"), cv::Mat(50, 70, CV_16UC3, cv::Scalar(100, 20000, 60000)));
  cv::imwrite(output("alpha.png"), cv::Mat(50, 70, CV_8UC4, cv::Scalar(1, 2, 3, 4)));
  const auto result = demo({output("grey.png"), output("deep.png"), output("alpha.png")});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(fs::exists(dir / "drawn/deep.png"));
}

TEST_F(DemoTool, PassesOverABrokenImageAndSaysSo) {
  std::ofstream(dir / "broken.jpg") << "no picture";
  const auto result = demo({output("broken.jpg"), output("JPEGImages/shape0.jpg")});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("broken.jpg"));
  EXPECT_TRUE(fs::exists(dir / "drawn/shape0.jpg"));
}

TEST_F(DemoTool, NothingToDoIsAUsageError) {
  EXPECT_EQ(demo({}).status, 2);
  EXPECT_EQ(demo({output("no_such.jpg")}).status, 2);
}

TEST(ListTool, NamesTheQuantizers) {
  const auto result = run_tool("list", {});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("dorefa"));
  EXPECT_THAT(result.output, HasSubstr("SSDLiteBoxPredictor"));
  EXPECT_EQ(run_tool("list", {"quantisers"}).status, 2);
}

}  // namespace
}  // namespace ssdq::testing
