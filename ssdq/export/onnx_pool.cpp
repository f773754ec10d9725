#include "ssdq/export/onnx_pool.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace ssdq {
namespace {

// The windows of a pool along one side of a map.
struct Axis {
  int size, kernel, stride, padding, count;

  // Padding behind the map that the last window needs.
  int end() const { return std::max((count - 1) * stride + kernel - padding - size, padding); }
  // Window `i` without what reaches past the configured padding.
  int counted(int i) const { return std::min(kernel, size + 2 * padding - i * stride); }
};

// What turns sums / whole kernel into sums / counted part, [1, 1, H, W].
std::vector<float> corrections(const Axis& rows, const Axis& columns) {
  std::vector<float> factors;
  for (int y = 0; y < rows.count; ++y) {
    for (int x = 0; x < columns.count; ++x) {
      factors.push_back(static_cast<float>(rows.kernel * columns.kernel) /
                        static_cast<float>(rows.counted(y) * columns.counted(x)));
    }
  }
  return factors;
}

}  // namespace

std::string add_pool(OnnxBuilder& onnx, const std::string& name, const std::string& x,
                     const Pool& pool, Size2 in, Size2 out) {
  const bool max = pool.kind == PoolKind::kMax;
  if (pool.global) {
    return onnx.node(max ? "GlobalMaxPool" : "GlobalAveragePool", name, {x});
  }
  const Axis rows{in.height, pool.kernel.height, pool.stride.height, pool.padding.height,
                  out.height};
  const Axis columns{in.width, pool.kernel.width, pool.stride.width, pool.padding.width, out.width};
  std::vector<OnnxAttribute> attributes = {
      OnnxAttribute::integers("kernel_shape", {rows.kernel, columns.kernel}),
      OnnxAttribute::integers("strides", {rows.stride, columns.stride}),
      OnnxAttribute::integers("pads", {rows.padding, columns.padding, rows.end(), columns.end()})};
  if (max) {
    return onnx.node("MaxPool", name, {x}, std::move(attributes));
  }
  attributes.push_back(OnnxAttribute::integer("count_include_pad", 1));
  if (rows.end() == rows.padding && columns.end() == columns.padding) {
    return onnx.node("AveragePool", name, {x}, std::move(attributes));
  }
  const auto whole = onnx.node("AveragePool", name + "/whole", {x}, std::move(attributes));
  const auto factors =
      onnx.floats(name + "/area", {1, 1, out.height, out.width}, corrections(rows, columns));
  return onnx.node("Mul", name, {whole, factors});
}

}  // namespace ssdq
