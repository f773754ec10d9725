#include "ssdq/pruning/importance.h"

#include <map>
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

  bool has_batch_norm() const { return has_batch_norm_; }

 private:
  static std::vector<NodeId> members_of(const ChannelGroup& group) {
    std::vector<NodeId> members = group.convs;
    members.insert(members.end(), group.depthwise.begin(), group.depthwise.end());
    return members;
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

std::vector<double> random_scores(size_t count, std::mt19937_64& random) {
  std::vector<double> scores;
  for (size_t i = 0; i < count; ++i) {
    scores.push_back(static_cast<double>(random() >> 11) * 0x1p-53);
  }
  return scores;
}

}  // namespace

Importance parse_importance(const std::string& name) {
  for (const auto one :
       {Importance::kBatchNorm, Importance::kL1, Importance::kL2, Importance::kRandom}) {
    if (name == to_string(one)) return one;
  }
  fail_config("unknown importance '{}' (known: bn, l1, l2, random)", name);
}

const char* to_string(Importance importance) {
  switch (importance) {
    case Importance::kBatchNorm:
      return "bn";
    case Importance::kL1:
      return "l1";
    case Importance::kL2:
      return "l2";
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
    const auto of_group = importance == Importance::kRandom
                              ? random_scores(group.units.size(), random)
                          : importance == Importance::kBatchNorm
                              ? scorer.batch_norm(group)
                              : scorer.norms(group, importance == Importance::kL1 ? 1 : 2);
    for (size_t i = 0; i < of_group.size(); ++i) {
      scores[group.units[i]] = of_group[i];
    }
  }
  SSDQ_CHECK_CONFIG(importance != Importance::kBatchNorm || scorer.has_batch_norm(),
                    "importance bn: no convolution in scope has a batch norm; use l1 or l2");
  return scores;
}

}  // namespace ssdq
