#include "ssdq/graph/graph.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Graph pooled(Pool pool, Size2 image) {
  return {{{"input", Input{3, image}, {}, {}, false, {}}, {"pool", pool, {0}, {}, false, {}}}, {1}};
}

TEST(Graph, FindsNodesByName) {
  const Graph graph = pooled({}, {8, 8});
  EXPECT_EQ(graph.find("pool"), 1);
  EXPECT_THAT([&] { graph.find("pol"); },
              testing::ThrowsMessage<Error>("the network has no node named 'pol'"));
}

TEST(Graph, EqualityIgnoresOriginsAndAttributesWithoutEffect) {
  Graph a = pooled({}, {8, 8});
  Graph b = a;
  b.nodes[1].origin = {"elsewhere", 3};
  EXPECT_TRUE(a == b);
  Conv conv;
  conv.out_channels = 4;
  conv.batch_norm = BatchNorm{};
  a.nodes[1].op = conv;
  conv.bias = false;
  conv.leaky_slope = 0.3;
  b.nodes[1].op = conv;
  EXPECT_TRUE(a == b);
  conv.activation = Activation::kLeaky;
  b.nodes[1].op = conv;
  EXPECT_TRUE(a != b);
  b = a;
  std::get<Conv>(b.nodes[1].op).same_padding = true;
  EXPECT_TRUE(a != b);
  a = b;
  std::get<Conv>(a.nodes[1].op).padding = {3, 3};
  EXPECT_TRUE(a == b);
  b = a;
  b.nodes[1].quantization.wbits = 4;
  EXPECT_TRUE(a != b);
}

// A naive count of windows: they start at -padding, and a rounded-up last one must not start behind
// the map.
int count_windows(int size, int kernel, int stride, int padding, bool ceil_mode) {
  int count = 0;
  for (int start = -padding;; start += stride) {
    const bool whole = start + kernel <= size + padding;
    const bool cut = ceil_mode && start < size && start - stride + kernel < size + padding;
    if (!whole && !cut) {
      return count;
    }
    ++count;
  }
}

TEST(InferShapes, PoolsAgreeWithCountingWindows) {
  for (int size = 4; size < 14; ++size) {
    for (int kernel = 1; kernel <= 4; ++kernel) {
      for (int stride = 1; stride <= 3; ++stride) {
        for (int padding = 0; 2 * padding <= kernel; ++padding) {
          for (const bool ceil_mode : {false, true}) {
            Pool pool;
            pool.kernel = {kernel, 1};
            pool.stride = {stride, 1};
            pool.padding = {padding, 0};
            pool.ceil_mode = ceil_mode;
            EXPECT_EQ(infer_shapes(pooled(pool, {size, 5}))[1].size.height,
                      count_windows(size, kernel, stride, padding, ceil_mode))
                << size << " " << kernel << " " << stride << " " << padding << " " << ceil_mode;
          }
        }
      }
    }
  }
}

// TensorFlow's rule, told by what it promises: ceil(map / stride) windows, the first starting
// `before` in front of the map, the last ending `after` behind it or, where windows leave pixels
// over, inside it; padding as even as can be, the odd pixel behind.
TEST(PaddingOf, SamePaddingCoversTheMapAsEvenlyAsItCan) {
  for (int size = 1; size < 12; ++size) {
    for (const int kernel : {1, 2, 3, 5}) {
      for (int stride = 1; stride <= 3; ++stride) {
        for (int dilation = 1; dilation <= 2; ++dilation) {
          Conv conv;
          conv.out_channels = 1;
          conv.kernel = {kernel, 1};
          conv.stride = {stride, 1};
          conv.dilation = {dilation, 1};
          conv.same_padding = true;
          conv.padding = {7, 7};
          const auto [before, after] = padding_of(conv, {size, 4});
          EXPECT_EQ(before.width + after.width, 0);
          EXPECT_TRUE(after.height == before.height || after.height == before.height + 1);
          const Graph graph{{{"input", Input{3, {size, 4}}, {}, {}, false, {}},
                             {"conv", conv, {0}, {}, false, {}}},
                            {1}};
          const int outputs = infer_shapes(graph)[1].size.height;
          EXPECT_EQ(outputs, (size + stride - 1) / stride);
          const int end = (outputs - 1) * stride + dilation * (kernel - 1) + 1 - before.height;
          EXPECT_EQ(after.height, std::max(end - size, 0)) << size << kernel << stride << dilation;
          EXPECT_TRUE(end >= size || before.height == 0);
        }
      }
    }
  }
}

TEST(PaddingOf, OtherConvolutionsArePaddedOnBothSides) {
  Conv conv;
  conv.padding = {1, 2};
  const auto [before, after] = padding_of(conv, {9, 9});
  EXPECT_EQ(before, (Size2{1, 2}));
  EXPECT_EQ(after, (Size2{1, 2}));
}

TEST(InferShapes, RefusesNodesThatReadLaterOnes) {
  Graph graph = pooled({}, {8, 8});
  graph.nodes[1].inputs = {1};
  EXPECT_THAT([&] { infer_shapes(graph); },
              testing::ThrowsMessage<ConfigError>(
                  "pool: node 1 reads node 1, which does not come before it"));
}

}  // namespace
}  // namespace ssdq
