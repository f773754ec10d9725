#include "ssdq/graph/graph.h"

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

TEST(InferShapes, RefusesNodesThatReadLaterOnes) {
  Graph graph = pooled({}, {8, 8});
  graph.nodes[1].inputs = {1};
  EXPECT_THAT([&] { infer_shapes(graph); },
              testing::ThrowsMessage<ConfigError>(
                  "pool: node 1 reads node 1, which does not come before it"));
}

}  // namespace
}  // namespace ssdq
