#include "ssdq/distributed/broadcast_state.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fmt/ranges.h>
#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr int64_t kPackBytes = 32 << 20;

struct NamedTensor {
  std::string name;
  torch::Tensor tensor;
};

std::vector<NamedTensor> tensors_of(const torch::nn::Module& module) {
  std::vector<NamedTensor> result;
  for (const auto& items : {module.named_parameters(), module.named_buffers()}) {
    for (const auto& item : items) {
      if (item.value().defined()) {
        result.push_back({item.key(), item.value().detach()});
      }
    }
  }
  return result;
}

std::vector<std::string> descriptions(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) {
    std::string sizes;
    for (const int64_t size : tensor.sizes()) {
      sizes += (sizes.empty() ? "" : " x ") + std::to_string(size);
    }
    result.push_back(fmt::format("'{}' [{}] {}", name, sizes, c10::toString(tensor.scalar_type())));
  }
  return result;
}

void check_agreement(ProcessGroup& group, const std::vector<NamedTensor>& tensors, int root) {
  const auto own = descriptions(tensors);
  const std::string text = fmt::format("{}", fmt::join(own, "\n"));
  // Texts of a large network are long, so they travel only to tell what differs.
  const auto hashes = group.all_gather(std::to_string(std::hash<std::string>()(text)));
  if (std::all_of(hashes.begin(), hashes.end(), [&](const auto& h) { return h == hashes[0]; })) {
    return;
  }
  const auto texts = group.all_gather(text);
  const auto& expected = texts[static_cast<size_t>(root)];
  for (size_t rank = 0; rank < texts.size(); ++rank) {
    if (texts[rank] != expected) {
      const auto [a, b] =
          std::mismatch(texts[rank].begin(), texts[rank].end(), expected.begin(), expected.end());
      const auto line = [](const std::string& of, size_t at) {
        const size_t begin = at == 0 ? 0 : of.rfind('\n', at - 1) + 1;
        const size_t end = std::min(of.find('\n', at), of.size());
        return begin < end ? of.substr(begin, end - begin) : std::string("nothing more");
      };
      fail(
          "rank {} has another network than rank {}: {} where that has {}; start all ranks with "
          "the same configuration and files",
          rank, root, line(texts[rank], static_cast<size_t>(a - texts[rank].begin())),
          line(expected, static_cast<size_t>(b - expected.begin())));
    }
  }
}

torch::Tensor bytes_of(const torch::Tensor& tensor) {
  return tensor.contiguous().flatten().view(torch::kByte);
}

void broadcast_pack(ProcessGroup& group, const std::vector<torch::Tensor>& pack, int root) {
  std::vector<torch::Tensor> parts;
  std::transform(pack.begin(), pack.end(), std::back_inserter(parts), bytes_of);
  const torch::Tensor flat = torch::cat(parts);
  group.broadcast(flat, root);
  int64_t at = 0;
  for (size_t i = 0; i < pack.size(); ++i) {
    const int64_t count = parts[i].numel();
    // A copy of its own is aligned for any type.
    const torch::Tensor values = flat.narrow(0, at, count).clone().view(pack[i].scalar_type());
    pack[i].copy_(values.view(pack[i].sizes()));
    at += count;
  }
}

}  // namespace

void broadcast_tensors(ProcessGroup& group, const std::vector<torch::Tensor>& tensors, int root) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> pack;
  int64_t bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    pack.push_back(tensors[i]);
    bytes += static_cast<int64_t>(pack.back().nbytes());
    const bool ends = i + 1 == tensors.size() || tensors[i + 1].device() != pack.back().device();
    if (ends || bytes >= kPackBytes) {
      broadcast_pack(group, pack, root);
      pack.clear();
      bytes = 0;
    }
  }
}

void broadcast_state(ProcessGroup& group, torch::nn::Module& module, int root) {
  const auto named = tensors_of(module);
  check_agreement(group, named, root);
  std::vector<torch::Tensor> tensors;
  for (const auto& one : named) {
    tensors.push_back(one.tensor);
  }
  broadcast_tensors(group, tensors, root);
}

}  // namespace ssdq
