#include "ssdq/pruning/importance.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <utility>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class Scorer {
 public:
  Scorer(const GraphModuleImpl& network, const ChannelUnits& units) : units_(units) {
    for (const auto& [name, block] : network.convolutions()) {
      blocks_.emplace(network.graph().find(name), block);
    }
  }

  // One for each of the group's units.
  std::vector<double> batch_norm(const ChannelGroup& group) {
    std::vector<std::vector<double>> members;
    for (const NodeId id : members_of(group)) {
      if (const auto& bn = blocks_.at(id)->bn) {
        members.push_back(of_units(group, id, bn->weight.detach().abs()));
      }
    }
    has_batch_norm_ |= !members.empty();
    return members.empty() ? norms(group, 2) : mean_of(members);
  }

  std::vector<double> norms(const ChannelGroup& group, int order) const {
    std::vector<std::vector<double>> members;
    for (const NodeId id : members_of(group)) {
      const auto weight = blocks_.at(id)->weight.detach().flatten(1);
      const auto norm = order == 1 ? weight.abs().sum(1) : weight.square().sum(1).sqrt();
      members.push_back(over_mean(of_units(group, id, norm)));
    }
    return mean_of(members);
  }

  std::vector<double> distances(const ChannelGroup& group) const {
    std::vector<std::vector<double>> members;
    for (const NodeId id : members_of(group)) {
      members.push_back(over_mean(of_units(group, id, distances_of(group, id))));
    }
    return mean_of(members);
  }

  bool has_batch_norm() const { return has_batch_norm_; }

 private:
  static std::vector<NodeId> members_of(const ChannelGroup& group) {
    std::vector<NodeId> members = group.convs;
    members.insert(members.end(), group.depthwise.begin(), group.depthwise.end());
    return members;
  }

  // Of each filter of a node to the node's others in the group, in all; [out], 0 outside the group.
  torch::Tensor distances_of(const ChannelGroup& group, NodeId id) const {
    KeptUnits inside(static_cast<size_t>(units_.count));
    for (const int unit : group.units) inside[unit] = true;
    const auto channels = torch::tensor(kept_channels(units_, id, inside), torch::kLong);
    const auto weight = blocks_.at(id)->weight.detach().to(torch::kCPU, torch::kFloat64);
    const auto filters = weight.flatten(1).index_select(0, channels);
    const auto sums = torch::cdist(filters, filters).fill_diagonal_(0).sum(1);
    return torch::zeros({weight.size(0)}, torch::kFloat64).index_copy_(0, channels, sums);
  }

  // Values of a node's channels as those of the group's units.
  std::vector<double> of_units(const ChannelGroup& group, NodeId id,
                               const torch::Tensor& values) const {
    const auto plain = values.to(torch::kCPU, torch::kFloat64).contiguous();
    std::map<int, std::pair<double, int>> sums;
    const auto& of = units_.of[id];
    for (size_t c = 0; c < of.size(); ++c) {
      auto& [sum, count] = sums[of[c]];
      sum += plain.data_ptr<double>()[c];
      ++count;
    }
    std::vector<double> result;
    for (const int unit : group.units) {
      result.push_back(sums.at(unit).first / sums.at(unit).second);
    }
    return result;
  }

  static std::vector<double> over_mean(std::vector<double> values) {
    double sum = 0;
    for (const double value : values) sum += value;
    for (double& value : values) {
      value = sum > 0 ? value * static_cast<double>(values.size()) / sum : 1;
    }
    return values;
  }

  static std::vector<double> mean_of(const std::vector<std::vector<double>>& members) {
    std::vector<double> mean(members.front().size());
    for (const auto& member : members) {
      for (size_t i = 0; i < mean.size(); ++i) {
        mean[i] += member[i] / static_cast<double>(members.size());
      }
    }
    return mean;
  }

  const ChannelUnits& units_;
  std::map<NodeId, ConvBlock> blocks_;
  bool has_batch_norm_ = false;
};

std::vector<double> lamp(const std::vector<double>& norms) {
  std::vector<size_t> order(norms.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return norms[a] > norms[b]; });
  std::vector<double> scores(norms.size());
  double sum = 0;
  for (size_t first = 0, end = 0; first < order.size(); first = end) {
    const double norm = norms[order[first]];
    do {
      sum += norm * norm;
      ++end;
    } while (end < order.size() && norms[order[end]] == norm);
    for (size_t i = first; i < end; ++i) scores[order[i]] = norm * norm / sum;
  }
  return scores;
}

std::vector<double> random_scores(size_t count, std::mt19937_64& random) {
  std::vector<double> scores;
  for (size_t i = 0; i < count; ++i) {
    scores.push_back(static_cast<double>(random() >> 11) * 0x1p-53);
  }
  return scores;
}

std::vector<double> scores_of(const ChannelGroup& group, Importance importance, Scorer& scorer,
                              std::mt19937_64& random) {
  switch (importance) {
    case Importance::kBatchNorm:
      return scorer.batch_norm(group);
    case Importance::kL1:
      return scorer.norms(group, 1);
    case Importance::kL2:
      return scorer.norms(group, 2);
    case Importance::kFpgm:
      return scorer.distances(group);
    case Importance::kLamp:
      return lamp(scorer.norms(group, 2));
    case Importance::kRandom:
      return random_scores(group.units.size(), random);
  }
  return {};
}

}  // namespace

const char* to_string(Importance importance) {
  switch (importance) {
    case Importance::kBatchNorm:
      return "bn";
    case Importance::kL1:
      return "l1";
    case Importance::kL2:
      return "l2";
    case Importance::kFpgm:
      return "fpgm";
    case Importance::kLamp:
      return "lamp";
    case Importance::kRandom:
      return "random";
  }
  return "";
}

std::vector<double> unit_scores(const GraphModuleImpl& network, const ChannelUnits& units,
                                const std::vector<ChannelGroup>& groups, Importance importance,
                                uint64_t seed) {
  Scorer scorer(network, units);
  std::mt19937_64 random(seed);
  std::vector<double> scores(static_cast<size_t>(units.count));
  for (const auto& group : groups) {
    const auto of_group = scores_of(group, importance, scorer, random);
    for (size_t i = 0; i < of_group.size(); ++i) {
      scores[group.units[i]] = of_group[i];
    }
  }
  SSDQ_CHECK_CONFIG(importance != Importance::kBatchNorm || scorer.has_batch_norm(),
                    "importance bn: no convolution in scope has a batch norm; use l1 or l2");
  return scores;
}

}  // namespace ssdq
