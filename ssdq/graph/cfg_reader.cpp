#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/cfg_section.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

using Keys = std::vector<std::string>;

constexpr int kMaxChannels = 65536;
constexpr int kMaxPixels = 1024;

Keys join(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::map<std::string, Keys>& section_keys() {
  static const Keys common{"name", "feature", "feature_idx", "feature_scale", "backbone"};
  static const Keys weighted = join(common, {"quantization", "wbits", "abits"});
  static const Keys conv =
      join(weighted, {"batch_normalize", "bn_eps", "bn_momentum", "filters", "size", "stride",
                      "pad", "groups", "dilation", "bias", "activation", "leaky_slope"});
  static const Keys pool = join(common, {"size", "stride", "pad", "ceil_mode"});
  static const std::map<std::string, Keys> table{
      {"convolutional", conv},
      {"depthwise", conv},
      {"shortcut", join(common, {"from", "activation", "leaky_slope"})},
      {"route", join(common, {"layers", "groups"})},
      {"concat", join(common, {"layers", "groups"})},
      {"maxpool", pool},
      {"avgpool", pool},
      {"upsample", join(common, {"stride"})},
      {"se", join(weighted, {"squeeze", "inner", "gate", "activation"})},
  };
  return table;
}

Activation read_activation(const CfgReader& reader, const std::string& key, Activation fallback) {
  static const std::vector<Activation> all{
      Activation::kLinear, Activation::kRelu,  Activation::kRelu6,    Activation::kLeaky,
      Activation::kHSwish, Activation::kSwish, Activation::kHSigmoid, Activation::kSigmoid};
  Keys names;
  std::transform(all.begin(), all.end(), std::back_inserter(names),
                 [](Activation a) { return to_string(a); });
  const std::string word = reader.word(key, names, to_string(fallback));
  return all[static_cast<std::size_t>(std::find(names.begin(), names.end(), word) - names.begin())];
}

Conv read_conv(const CfgReader& reader, bool depthwise, int in_channels) {
  Conv conv;
  const std::optional<int> channels =
      depthwise ? std::optional<int>(in_channels) : std::optional<int>();
  conv.out_channels = reader.integer("filters", 1, kMaxChannels, channels);
  conv.groups = reader.integer("groups", 1, kMaxChannels, channels.value_or(1));
  conv.kernel = reader.size("size", 1, kMaxPixels, std::nullopt);
  conv.stride = reader.size("stride", 1, kMaxPixels, 1);
  conv.same_padding = reader.is("pad", "same");
  if (!conv.same_padding) {
    conv.padding = reader.size("pad", 0, kMaxPixels, 0);
  }
  conv.dilation = reader.size("dilation", 1, kMaxPixels, 1);
  conv.bias = reader.flag("bias", true);
  if (reader.flag("batch_normalize", false)) {
    const BatchNorm defaults;
    conv.batch_norm = {reader.number("bn_eps", defaults.eps),
                       reader.number("bn_momentum", defaults.momentum)};
    conv.bias = false;
  }
  conv.activation = read_activation(reader, "activation", Activation::kLinear);
  conv.leaky_slope = reader.number("leaky_slope", conv.leaky_slope);
  return conv;
}

Pool read_pool(const CfgReader& reader, PoolKind kind) {
  Pool pool;
  pool.kind = kind;
  pool.global = kind == PoolKind::kAverage && !reader.has("size");
  if (!pool.global) {
    pool.kernel = reader.size("size", 1, kMaxPixels, std::nullopt);
    pool.stride = reader.size("stride", 1, kMaxPixels, std::nullopt);
    pool.padding = reader.size("pad", 0, kMaxPixels, 0);
    pool.ceil_mode = reader.flag("ceil_mode", false);
  }
  return pool;
}

SqueezeExcite read_squeeze_excite(const CfgReader& reader) {
  SqueezeExcite se;
  se.squeeze_channels = reader.integer("squeeze", 1, kMaxChannels, std::nullopt);
  se.inner = read_activation(reader, "inner", se.inner);
  se.gate = read_activation(reader, "gate", se.gate);
  se.activation = read_activation(reader, "activation", se.activation);
  return se;
}

QuantizationSpec read_quantization(const CfgReader& reader) {
  QuantizationSpec spec;
  if (reader.has("quantization")) {
    spec.enabled = reader.flag("quantization", false);
  }
  if (reader.has("wbits")) {
    spec.wbits = reader.integer("wbits", 1, 32, std::nullopt);
  }
  if (reader.has("abits")) {
    spec.abits = reader.integer("abits", 1, 32, std::nullopt);
  }
  return spec;
}

class GraphBuilder {
 public:
  GraphBuilder(CfgProblems& problems, Size2 image_size, int channels) : problems_(problems) {
    push({"input", Input{channels, image_size}, {}, {}, false, {problems.file(), 0}}, channels);
  }

  void add(const CfgSection& section) {
    const CfgReader reader(section, problems_);
    const auto known = section_keys().find(section.type);
    if (known == section_keys().end()) {
      refuse_type(section);
      section_nodes_.push_back(last());
      return;
    }
    reader.check_keys(known->second);
    Node node;
    node.name = name_of(reader);
    node.origin = {problems_.file(), section.line};
    node.quantization = read_quantization(reader);
    const int channels = read_op(section.type, reader, node);
    push(std::move(node), channels);
    section_nodes_.push_back(static_cast<NodeId>(graph_.nodes.size()) - 1);
    read_backbone_mark(reader);
    read_feature(reader, section.line);
  }

  Graph finish() {
    if (section_nodes_.empty()) {
      problems_.add(0, "has no layers");
    } else if (features_.empty()) {
      problems_.add(0,
                    "no section is a feature; mark the maps that the heads read with "
                    "feature=linear and feature_idx=0, 1, ...");
    }
    int level = 0;
    for (const auto& [index, tap] : features_) {
      if (index != level) {
        problems_.add(tap.line, fmt::format("feature_idx: {} is given but not {}; levels count "
                                            "from 0 without a gap",
                                            index, level));
        break;
      }
      graph_.features.push_back(tap.node);
      ++level;
    }
    problems_.throw_if_any();
    for (NodeId id = 1; id <= backbone_end_; ++id) {
      graph_.nodes[id].backbone = !std::holds_alternative<L2Norm>(graph_.nodes[id].op);
    }
    infer_shapes(graph_);
    return std::move(graph_);
  }

 private:
  struct Tap {
    NodeId node = 0;
    int line = 0;
  };

  NodeId last() const { return section_nodes_.empty() ? 0 : section_nodes_.back(); }

  void push(Node node, int channels) {
    graph_.nodes.push_back(std::move(node));
    channels_.push_back(channels);
  }

  void refuse_type(const CfgSection& section) {
    Keys types;
    for (const auto& [type, keys] : section_keys()) {
      types.push_back(type);
    }
    problems_.add(section.line, section.type == "net"
                                    ? "[net] holds settings and may only be the first section"
                                    : fmt::format("[{}]: unknown section{}", section.type,
                                                  suggestion(section.type, types)));
  }

  std::string name_of(const CfgReader& reader) const {
    const std::string given = reader.identifier("name");
    std::string name =
        "backbone." + (given.empty() ? std::to_string(section_nodes_.size()) : given);
    for (const auto& node : graph_.nodes) {
      if (node.name == name) {
        reader.problem("name", fmt::format("'{}' is already the name of the section in line {}",
                                           name.substr(9), node.origin.line));
      }
    }
    return name;
  }

  // Sets the op and its inputs; returns the output channels.
  int read_op(const std::string& type, const CfgReader& reader, Node& node) {
    node.inputs = {last()};
    const int in = channels_[last()];
    if (type == "convolutional" || type == "depthwise") {
      const Conv conv = read_conv(reader, type == "depthwise", in);
      if (type == "depthwise" && problems_.empty() &&
          (conv.out_channels != in || conv.groups != in)) {
        reader.problem(conv.out_channels != in ? "filters" : "groups",
                       fmt::format("expected the {} channels of its input, got {}", in,
                                   conv.out_channels != in ? conv.out_channels : conv.groups));
      }
      node.op = conv;
      return conv.out_channels;
    }
    if (type == "shortcut") {
      Add add;
      add.activation = read_activation(reader, "activation", Activation::kLinear);
      add.leaky_slope = reader.number("leaky_slope", add.leaky_slope);
      node.op = add;
      append_references("from", reader, node.inputs);
      return in;
    }
    if (type == "route" || type == "concat") {
      if (reader.integer("groups", 1, kMaxChannels, 1) != 1) {
        reader.problem("groups", "splitting a map into groups is not supported, only 1");
      }
      node.op = Concat{};
      node.inputs.clear();
      append_references("layers", reader, node.inputs);
      int sum = 0;
      for (const NodeId id : node.inputs) {
        sum += channels_[id];
      }
      return sum;
    }
    if (type == "maxpool" || type == "avgpool") {
      node.op = read_pool(reader, type == "maxpool" ? PoolKind::kMax : PoolKind::kAverage);
    } else if (type == "upsample") {
      node.op = Upsample{reader.integer("stride", 1, 64, std::nullopt)};
    } else {
      node.op = read_squeeze_excite(reader);
    }
    return in;
  }

  void append_references(const std::string& key, const CfgReader& reader,
                         std::vector<NodeId>& inputs) const {
    const int here = static_cast<int>(section_nodes_.size());
    for (const int reference : reader.integers(key)) {
      const int index = reference < 0 ? here + reference : reference;
      if (index < 0 || index >= here) {
        reader.problem(key, fmt::format("{} is section {}, but this is section {} and only those "
                                        "above it can be read",
                                        reference, index, here));
      } else {
        inputs.push_back(section_nodes_[index]);
      }
    }
  }

  void read_backbone_mark(const CfgReader& reader) {
    if (!reader.flag("backbone", false)) {
      return;
    }
    if (backbone_end_ > 0) {
      reader.problem("backbone",
                     fmt::format("already set in the section of line {}; it marks one section, the "
                                 "last of the pre-trained part",
                                 graph_.nodes[backbone_end_].origin.line));
    }
    backbone_end_ = last();
  }

  void read_feature(const CfgReader& reader, int line) {
    const std::string feature = reader.word("feature", {"no", "linear", "l2_norm"}, "no");
    if (feature == "no") {
      return;
    }
    Tap tap{last(), line};
    const int index = reader.integer("feature_idx", 0, 99, std::nullopt);
    if (feature == "l2_norm") {
      const Node& source = graph_.nodes[tap.node];
      Node norm{source.name + ".l2_norm",
                L2Norm{reader.number("feature_scale", 20)},
                {tap.node},
                {},
                false,
                source.origin};
      push(std::move(norm), channels_[tap.node]);
      tap.node = static_cast<NodeId>(graph_.nodes.size()) - 1;
    }
    const auto [same, fresh] = features_.emplace(index, tap);
    if (!fresh && reader.has("feature_idx")) {
      reader.problem("feature_idx", fmt::format("{} is already taken by the section in line {}",
                                                index, same->second.line));
    }
  }

  CfgProblems& problems_;
  Graph graph_;
  std::vector<int> channels_;          // of each node
  std::vector<NodeId> section_nodes_;  // of each section
  std::map<int, Tap> features_;
  NodeId backbone_end_ = 0;
};

}  // namespace

Graph parse_cfg(const std::string& text, const std::string& name, Size2 image_size, int channels) {
  CfgProblems problems(name);
  const auto sections = split_cfg(text, problems);
  GraphBuilder builder(problems, image_size, channels);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    if (i > 0 || sections[i].type != "net") {
      builder.add(sections[i]);
    }
  }
  return builder.finish();
}

Graph read_cfg(const std::string& path, Size2 image_size, int channels) {
  if (std::filesystem::is_directory(path)) {
    fail_config("{} is a folder, expected a cfg file", path);
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    fail_config("cannot read the cfg file {}; check MODEL.BACKBONE.CFG", path);
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return parse_cfg(text.str(), path, image_size, channels);
}

}  // namespace ssdq
