#include "ssdq/graph/cfg_file.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/graph/features.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

const std::string kLast = "[convolutional]\nfilters=8\nsize=1\nfeature=linear\nfeature_idx=0\n";

Graph parse(const std::string& text) { return parse_cfg(text, "x.cfg", {32, 48}); }

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(CfgFile, ReadsTheFormatOfTheFork) {
  const Graph graph = parse(
      "\xEF\xBB\xBF# a comment\r\n\r\n[net]\r\nbatch=16\r\nbatch=1\r\nwidth = 416\r\n"
      "[convolutional]\r\nbatch_normalize = 1\r\nfilters = 4 ; "
      "stem\r\nsize=3\r\nstride=2\r\npad=1\r\n"
      "activation=leaky\r\nbias=1\r\nquantization=0\r\n"
      "[depthwise]\r\nbatch_normalize=1\r\nfilters=4\r\nsize=3\r\nstride=1\r\npad=1\r\n"
      "activation=relu6\r\nquantization=1\r\nfeature=no\r\n"
      "[shortcut]\r\nfrom=-2\r\nactivation=linear\r\nfeature=linear\r\nfeature_idx=1\r\nbackbone="
      "1\r\n"
      "[maxpool]\r\nsize=2\r\nstride=2\r\nceil_mode=1\r\n"
      "[convolutional]\r\nbatch_normalize=0\r\nfilters=6\r\nsize=1\r\nstride=1\r\npad=0\r\n"
      "activation=relu\r\nfeature=l2_norm\r\nfeature_idx=0\r\n");
  ASSERT_EQ(graph.nodes.size(), 7U);
  EXPECT_EQ(graph.features, (std::vector<NodeId>{6, 3}));
  const auto& stem = std::get<Conv>(graph.nodes[1].op);
  EXPECT_TRUE(stem.batch_norm && stem.activation == Activation::kLeaky && stem.leaky_slope == 0.1);
  EXPECT_EQ(std::get<Conv>(graph.nodes[2].op).groups, 4);
  EXPECT_EQ(graph.nodes[1].quantization.enabled, false);
  EXPECT_EQ(graph.nodes[2].quantization.enabled, true);
  EXPECT_EQ(graph.nodes[5].quantization.enabled, std::nullopt);
  EXPECT_EQ(graph.nodes[3].inputs, (std::vector<NodeId>{2, 1}));
  EXPECT_TRUE(graph.nodes[3].backbone);
  EXPECT_FALSE(graph.nodes[4].backbone);
  EXPECT_EQ(graph.nodes[6].name, "backbone.4.l2_norm");
  EXPECT_EQ(std::get<L2Norm>(graph.nodes[6].op).initial_scale, 20);
  EXPECT_EQ(graph.nodes[5].origin.line, 35);
}

TEST(CfgFile, TheNextSectionReadsTheValueBeforeL2Norm) {
  const Graph graph = parse(
      "[convolutional]\nfilters=4\nsize=1\nname=tap\nfeature=l2_norm\nfeature_idx=0\n"
      "[convolutional]\nfilters=4\nsize=1\n");
  EXPECT_EQ(graph.nodes[graph.find("backbone.1")].inputs[0], graph.find("backbone.tap"));
  EXPECT_EQ(graph.features[0], graph.find("backbone.tap.l2_norm"));
}

TEST(CfgFile, SamePaddingIsAWordOfPad) {
  const Graph graph = parse(
      "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=SAME\n"
      "[depthwise]\nsize=5x3\npad=same\nfeature=linear\nfeature_idx=0\n");
  EXPECT_TRUE(std::get<Conv>(graph.nodes[1].op).same_padding);
  EXPECT_EQ(feature_shapes(graph)[0].size, (Size2{16, 24}));
  const std::string written = write_cfg(graph);
  EXPECT_THAT(written, testing::HasSubstr("pad=same\n"));
  EXPECT_TRUE(parse_cfg(written, "y.cfg", {32, 48}) == graph) << written;
  EXPECT_THAT(error_of("[maxpool]\nsize=2\nstride=2\npad=same\n" + kLast),
              testing::HasSubstr("pad: expected an integer"));
}

TEST(CfgFile, EverySectionAndAttributeSurvivesWriting) {
  const Graph graph = parse(
      "[convolutional]\nname=stem\nbatch_normalize=1\nbn_eps=0.001\nbn_momentum=0.03\nfilters=8\n"
      "size=3x1\nstride=1x2\npad=1x0\nactivation=leaky\nleaky_slope=0.2\n"
      "[se]\nsqueeze=2\ninner=swish\ngate=h_sigmoid\nactivation=h_swish\nquantization=1\nabits=4\n"
      "[convolutional]\nfilters=16\nsize=3\npad=2\ndilation=2\ngroups=4\nbias=0\nwbits=3\nbackbone="
      "1\n"
      "[avgpool]\nsize=2\nstride=2\npad=1\nceil_mode=1\nfeature=l2_norm\nfeature_idx=1\n"
      "feature_scale=10\n"
      "[upsample]\nstride=2\n"
      "[route]\nlayers=-3,0\n"
      "[concat]\nlayers=2\n"
      "[shortcut]\nfrom=-5, 2\nactivation=relu\nfeature=linear\nfeature_idx=0\n"
      "[avgpool]\nfeature=linear\nfeature_idx=2\n");
  const std::string written = write_cfg(graph);
  EXPECT_TRUE(parse_cfg(written, "y.cfg", {32, 48}) == graph) << written;
  EXPECT_EQ(feature_shapes(graph)[2].size, (Size2{1, 1}));
}

TEST(CfgFile, NamesTheLineSectionAndKeyOfEachMistake) {
  EXPECT_EQ(error_of("[convolutional]\nfilter=8\nsize=three\nactivation=relu7\n" + kLast),
            "x.cfg:2: [convolutional] filter: unknown key; did you mean 'filters'? (known: name, "
            "feature, feature_idx, feature_scale, backbone, quantization, wbits, abits, "
            "batch_normalize, bn_eps, bn_momentum, filters, size, stride, pad, groups, dilation, "
            "bias, activation, leaky_slope)\n"
            "x.cfg:1: [convolutional] filters: missing, give a value\n"
            "x.cfg:3: [convolutional] size: expected an integer in 1..1024 or HEIGHTxWIDTH, got "
            "'three'\n"
            "x.cfg:4: [convolutional] activation: unknown value 'relu7'; did you mean 'relu'? "
            "(known: linear, relu, relu6, leaky, h_swish, swish, h_sigmoid, sigmoid)");
}

struct BadCfg {
  std::string text, error;
};

class CfgMistake : public testing::TestWithParam<BadCfg> {};

TEST_P(CfgMistake, IsOneSentence) { EXPECT_EQ(error_of(GetParam().text), GetParam().error); }

INSTANTIATE_TEST_SUITE_P(
    All, CfgMistake,
    testing::Values(
        BadCfg{"[net]\n", "x.cfg: has no layers"},
        BadCfg{
            "[maxpol]\nsize=2\n" + kLast,
            "x.cfg:1: [maxpol]: unknown section; did you mean 'maxpool'? (known: avgpool, concat, "
            "convolutional, depthwise, maxpool, route, se, shortcut, upsample)"},
        BadCfg{kLast + "[net]\n",
               "x.cfg:6: [net] holds settings and may only be the first section"},
        BadCfg{"size=3\n" + kLast, "x.cfg:1: 'size=3' stands before the first [section]"},
        BadCfg{kLast + "pad\n", "x.cfg:6: expected 'key = value' or '[section]', got 'pad'"},
        BadCfg{kLast + "size=2\n",
               "x.cfg:6: [convolutional] size: already given in line 3, keep one"},
        BadCfg{kLast + "name=a\n" + "[upsample]\nstride=2\nname=a\n",
               "x.cfg:9: [upsample] name: 'a' is already the name of the section in line 1"},
        BadCfg{kLast + "name=a.b\n",
               "x.cfg:6: [convolutional] name: expected letters, digits and '_', got 'a.b'"},
        BadCfg{kLast + "[shortcut]\nfrom=-2\n",
               "x.cfg:7: [shortcut] from: -2 is section -1, but this is section 1 and only those "
               "above it can be read"},
        BadCfg{kLast + "[route]\nlayers=3,x\n",
               "x.cfg:7: [route] layers: expected comma-separated section numbers, got '3,x'"},
        BadCfg{kLast + "[route]\nlayers=0\ngroups=2\n",
               "x.cfg:8: [route] groups: splitting a map into groups is not supported, only 1"},
        BadCfg{kLast + "[depthwise]\nfilters=9\nsize=3\n",
               "x.cfg:7: [depthwise] filters: expected the 8 channels of its input, got 9"},
        BadCfg{kLast + "bn_eps=-1\nbatch_normalize=1\n",
               "x.cfg:6: [convolutional] bn_eps: expected a number above 0, got '-1'"},
        BadCfg{kLast + "wbits=33\n",
               "x.cfg:6: [convolutional] wbits: expected an integer in 1..32, got '33'"},
        BadCfg{kLast + "[upsample]\nstride=1\nfeature=linear\n",
               "x.cfg:6: [upsample] feature_idx: missing, give a value"},
        BadCfg{kLast + "[upsample]\nstride=1\nfeature=linear\nfeature_idx=0\n",
               "x.cfg:9: [upsample] feature_idx: 0 is already taken by the section in line 1"},
        BadCfg{kLast + "[upsample]\nstride=1\nfeature=linear\nfeature_idx=2\n",
               "x.cfg:6: feature_idx: 2 is given but not 1; levels count from 0 without a gap"},
        BadCfg{"[upsample]\nstride=1\n",
               "x.cfg: no section is a feature; mark the maps that the heads read with "
               "feature=linear and feature_idx=0, 1, ..."},
        BadCfg{kLast + "backbone=1\n[upsample]\nstride=1\nbackbone=1\n",
               "x.cfg:9: [upsample] backbone: already set in the section of line 1; it marks one "
               "section, the last of the pre-trained part"},
        BadCfg{kLast + "[convolutional]\nfilters=8\nsize=33\n",
               "x.cfg:6: backbone.1: a window of 33x33 pixels does not fit its 32x48 input padded "
               "by 0x0; use a larger image, a smaller size or more pad"},
        BadCfg{kLast + "groups=2\n",
               "x.cfg:1: backbone.0: 2 groups do not divide both 3 input and 8 output channels"},
        BadCfg{kLast + "[upsample]\nstride=2\n[shortcut]\nfrom=0\n",
               "x.cfg:8: backbone.2: adds 8x32x48 (backbone.0) to 8x64x96 (backbone.1); all inputs "
               "must have one shape"},
        BadCfg{
            kLast + "[upsample]\nstride=2\n[route]\nlayers=0,1\n",
            "x.cfg:8: backbone.2: joins a 64x96 map (backbone.1) to a 32x48 map (backbone.0); all "
            "maps must have one size"},
        BadCfg{kLast + "[upsample]\nstride=64\n[upsample]\nstride=64\n",
               "x.cfg:8: backbone.2: 64 times a 2048x3072 map is more than 65536 pixels a side"},
        BadCfg{kLast + "[maxpool]\nsize=2\nstride=1\npad=2\n",
               "x.cfg:6: backbone.1: pad 2x2 is more than half of size 2x2"}));

TEST(CfgFile, SaysWhatIsWrongWithThePath) {
  EXPECT_THAT(
      [] {
        read_cfg("/no/such.cfg", {32, 32});
      },
      testing::ThrowsMessage<ConfigError>(
          "cannot read the cfg file /no/such.cfg; check MODEL.BACKBONE.CFG"));
  EXPECT_THAT(
      [] {
        read_cfg("/", {32, 32});
      },
      testing::ThrowsMessage<ConfigError>("/ is a folder, expected a cfg file"));
}

TEST(CfgFile, RefusesToWriteWhatItCannotHold) {
  Graph graph = parse(kLast + "[convolutional]\nfilters=8\nsize=1\n[upsample]\nstride=1\n");
  graph.nodes[3].inputs = {1};
  EXPECT_THAT([&] { write_cfg(graph); },
              testing::ThrowsMessage<Error>("backbone.2: the cfg format cannot hold this node: its "
                                            "first input must be the section above it"));
}

}  // namespace
}  // namespace ssdq
