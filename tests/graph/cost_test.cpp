#include "ssdq/graph/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/graph/cfg_file.h"

namespace ssdq {
namespace {

TEST(Cost, CountsEachKindOfNode) {
  const Graph graph = parse_cfg(
      "[convolutional]\nfilters=8\nsize=3\npad=1\n"                    // 3*9*8 + 8 bias
      "[depthwise]\nbatch_normalize=1\nsize=3x1\npad=1x0\nstride=2\n"  // 3*8 + 2*8
      "[se]\nsqueeze=2\nfeature=l2_norm\nfeature_idx=0\n"              // 8*2+2 + 2*8+8; 8
      "[convolutional]\nfilters=4\nsize=1\ngroups=2\nbias=0\n",        // 4*4
      "x.cfg", {10, 20});
  const Cost total = cost(graph);
  ASSERT_EQ(total.nodes.size(), 6U);
  EXPECT_EQ(total.nodes[1].params, 224);
  EXPECT_EQ(total.nodes[1].macs, 216 * 200);
  EXPECT_EQ(total.nodes[2].params, 40);
  EXPECT_EQ(total.nodes[2].macs, 24 * 5 * 10);
  EXPECT_EQ(total.nodes[3].params, 42);
  EXPECT_EQ(total.nodes[3].macs, 32);
  EXPECT_EQ(total.nodes[4].params, 8);
  EXPECT_EQ(total.nodes[5].params, 16);
  EXPECT_EQ(total.params, 224 + 40 + 42 + 8 + 16);
  EXPECT_EQ(total.macs, 43200 + 1200 + 32 + 800);
  EXPECT_EQ(total.nodes[1].outputs, 1600);
  EXPECT_THAT(cost_table(total), testing::ContainsRegex("total +330 +45232"));
}

}  // namespace
}  // namespace ssdq
