#include <gmock/gmock.h>

#include "ssdq/config/reader.h"
#include "ssdq/config/validate.h"
#include "tests/config/config_testing.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Config load(const std::string& name) {
  const LoadedConfig loaded = load_config(testing::data_path(name));
  validate(loaded.config, loaded.origins, {});
  return loaded.config;
}

TEST(LufficcConfig, MobileNetSsd320LoadsUnchanged) {
  const Config c = load("lufficc_mobilenet_v2_ssd320.yaml");
  EXPECT_EQ(c.model.box_head.predictor, "SSDLiteBoxPredictor");
  EXPECT_EQ(c.model.backbone.name, "mobilenet_v2");
  EXPECT_THAT(c.model.backbone.out_channels, ElementsAre(96, 1280, 512, 256, 256, 64));
  EXPECT_THAT(c.model.priors.strides, ElementsAre(16, 32, 64, 107, 160, 320));
  EXPECT_THAT(c.model.priors.min_sizes[5], ElementsAre(285));
  EXPECT_EQ(c.model.priors.feature_maps[0], (Size2{20, 20}));
  EXPECT_EQ(c.input.image_size, (Size2{320, 320}));
  EXPECT_THAT(c.datasets.train, ElementsAre("voc_2007_trainval", "voc_2012_trainval"));
  EXPECT_THAT(c.datasets.test, ElementsAre("voc_2007_test"));
  EXPECT_DOUBLE_EQ(c.solver.lr, 1e-3);
  EXPECT_EQ(c.output_dir, "outputs/mobilenet_v2_ssd320_voc0712");
}

TEST(LufficcConfig, TuplesEverywhereOfVggSsd512Load) {
  const Config c = load("lufficc_vgg_ssd512.yaml");
  EXPECT_EQ(c.model.device, "cpu");
  EXPECT_EQ(c.model.priors.feature_maps.size(), 7U);
  EXPECT_THAT(c.model.priors.aspect_ratios,
              ElementsAre(ElementsAre(2), ElementsAre(2, 3), ElementsAre(2, 3), ElementsAre(2, 3),
                          ElementsAre(2, 3), ElementsAre(2), ElementsAre(2)));
  EXPECT_THAT(c.input.pixel_mean, ElementsAre(123, 117, 104));
  EXPECT_THAT(c.datasets.train, ElementsAre("coco_2014_train", "coco_2014_valminusminival"));
  EXPECT_THAT(c.datasets.test, IsEmpty());
  EXPECT_THAT(c.solver.lr_steps, ElementsAre(360000, 480000));
  EXPECT_DOUBLE_EQ(c.solver.warmup_factor, .03333);
  EXPECT_EQ(c.test.max_per_class, -1);
  EXPECT_FALSE(c.data_loader.pin_memory);
}

TEST(ForkConfig, QuantizedVggLoadsUnchanged) {
  const Config c = load("fork_vgg_bn_quan.yaml");
  EXPECT_TRUE(c.model.fine_tune);
  EXPECT_EQ(c.model.weights, "");
  EXPECT_EQ(c.model.backbone.cfg, "configs/vgg_bn_ssd300_fpga_quan.cfg");
  EXPECT_FALSE(c.model.backbone.pretrained);
  EXPECT_EQ(c.prune.type, "normal");
  EXPECT_EQ(c.quantization.type, "iao");
  EXPECT_EQ(c.quantization.wbits, 8);
  EXPECT_EQ(c.quantization.final_layer, "true");
  EXPECT_DOUBLE_EQ(c.solver.lr, 2.324e-3);
}

TEST(ForkConfig, OneLevelMiniSsdLoadsUnchanged) {
  const Config c = load("fork_mini_ssd.yaml");
  EXPECT_THAT(c.model.backbone.out_channels, ElementsAre(128));
  EXPECT_THAT(c.model.priors.boxes_per_location, ElementsAre(4));
  EXPECT_EQ(c.model.backbone.weights, "");
  EXPECT_EQ(c.prune.type, "none");
  EXPECT_EQ(c.quantization.type, "none");
}

TEST(ForkConfig, DefaultsAreTheForksWhereItHasThem) {
  const Config c = parse_config("", "nothing");
  EXPECT_EQ(c.quantization.wbits, 16);
  EXPECT_EQ(c.quantization.abits, 16);
  EXPECT_DOUBLE_EQ(c.prune.sr, .001);
  EXPECT_EQ(c.solver.max_iter, 120000);
  EXPECT_THAT(c.solver.lr_steps, ElementsAre(80000, 100000));
  EXPECT_DOUBLE_EQ(c.solver.warmup_factor, 1.0 / 3);
  EXPECT_THAT(c.model.priors.boxes_per_location, ElementsAre(4, 6, 6, 6, 4, 4));
  EXPECT_EQ(c.model.device, "auto");
  EXPECT_EQ(c.output_dir, "outputs");
}

struct Spelling {
  const char* written;
  const char* read;
};

class TypeName : public ::testing::TestWithParam<Spelling> {};

TEST_P(TypeName, IsReadInAnySpelling) {
  const std::string yaml = std::string("QUANTIZATION: {TYPE: ") + GetParam().written + "}";
  EXPECT_EQ(parse_config(yaml, "x").quantization.type, GetParam().read) << yaml;
  const LoadedConfig loaded = load_config("", {"PRUNE.TYPE", GetParam().written});
  EXPECT_EQ(loaded.config.prune.type, GetParam().read);
}

INSTANTIATE_TEST_SUITE_P(Spellings, TypeName,
                         ::testing::Values(Spelling{"no", "none"}, Spelling{"No", "none"},
                                           Spelling{"'no'", "none"}, Spelling{"none", "none"},
                                           Spelling{"None", "none"}, Spelling{"false", "none"},
                                           Spelling{"False", "none"}, Spelling{"'IAO'", "iao"},
                                           Spelling{"iao", "iao"}, Spelling{"DoReFa", "dorefa"}),
                         [](const auto& spelling) {
                           return "Case" + std::to_string(spelling.index);
                         });

}  // namespace
}  // namespace ssdq
