#include "ssdq/quantization/bit_mask.h"

#include <torch/torch.h>

namespace ssdq {

using torch::autograd::AutogradContext;

torch::Tensor like(const torch::Tensor& x, c10::IntArrayRef sizes, c10::IntArrayRef strides) {
  return x.sizes() == sizes && x.strides() == strides
             ? x
             : torch::empty_strided(sizes, strides, x.options()).copy_(x);
}

torch::Tensor mask_for(const Rows& rows) {
  return torch::empty({rows.count * rows.mask_stride()}, torch::kByte);
}

std::pair<torch::Tensor, OutsideSums> fused_masked_gradient(const torch::Tensor& g,
                                                            const torch::Tensor& inside,
                                                            const torch::Tensor& above,
                                                            const Rows& rows, double slope) {
  torch::Tensor gx = torch::empty_like(g);
  std::vector<OutsideSums> sums(static_cast<size_t>(rows.count * rows.chunks()));
  with_type(g, [&](const auto& kernel, auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* in = data<T>(g);
    T* out = data<T>(gx);
    const auto* low = inside.data_ptr<uint8_t>();
    const auto* high = above.defined() ? above.data_ptr<uint8_t>() : nullptr;
    for_chunks(rows, [&](int64_t row, int64_t first, int64_t count, int64_t chunk) {
      const int64_t at = row * rows.length + first, bit = row * rows.mask_stride() + first / 8;
      sums[static_cast<size_t>(chunk)] =
          kernel.masked_gradient(in + at, low + bit, high != nullptr ? high + bit : nullptr,
                                 out + at, count, static_cast<float>(slope));
    });
  });
  OutsideSums total;
  for (const OutsideSums& part : sums) {
    total.above += part.above;
    total.below += part.below;
  }
  return {gx, total};
}

void keep_layout(AutogradContext* context, const torch::Tensor& x, const Rows& rows) {
  context->saved_data["sizes"] = x.sizes().vec();
  context->saved_data["strides"] = x.strides().vec();
  context->saved_data["rows"] = rows.count;
}

torch::Tensor arranged(AutogradContext* context, const torch::Tensor& g) {
  return like(g, context->saved_data["sizes"].toIntVector(),
              context->saved_data["strides"].toIntVector());
}

Rows kept_rows(AutogradContext* context, const torch::Tensor& g) {
  const int64_t count = context->saved_data["rows"].toInt();
  return {count, g.numel() / std::max<int64_t>(count, 1)};
}

}  // namespace ssdq
