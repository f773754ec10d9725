#include "ssdq/export/integer_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <torch/types.h>
#include <nlohmann/json.hpp>

#include "ssdq/checkpoint/zip_archive.h"
#include "ssdq/export/bit_packing.h"
#include "ssdq/export/export_model.h"
#include "ssdq/export/integer_graph.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"

namespace ssdq {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr size_t kAlignment = 8;

Json pair(Size2 size) { return {size.height, size.width}; }

// The binary file: blobs at multiples of 8 bytes.
class Blobs {
 public:
  Json add(const std::string& type, const std::vector<int64_t>& shape, std::string_view bytes) {
    bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
    Json entry = {
        {"type", type}, {"shape", shape}, {"offset", bytes_.size()}, {"bytes", bytes.size()}};
    bytes_ += bytes;
    return entry;
  }

  template <typename Number>
  Json numbers(const std::string& type, const std::vector<int64_t>& shape,
               const std::vector<Number>& values) {
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");
    return add(type, shape,
               {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Number)});
  }

  template <typename Number>
  Json row(const std::string& type, const std::vector<Number>& values) {
    return numbers(type, {static_cast<int64_t>(values.size())}, values);
  }

  Json codes(const std::vector<int64_t>& shape, const WeightCode& weight) {
    return add(fmt::format("{}int{}", weight.range.is_signed ? "" : "u", weight.range.bits), shape,
               pack_bits(weight.codes, weight.range.bits));
  }

  Json floats(const torch::Tensor& tensor) {
    const torch::Tensor plain = tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
    return add("float32", plain.sizes().vec(),
               {static_cast<const char*>(plain.data_ptr()), plain.nbytes()});
  }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

Json describe(const ActivationCode& code) {
  return {{"bits", code.range.bits},      {"signed", code.range.is_signed},
          {"low", code.range.low},        {"high", code.range.high},
          {"scale", code.scale},          {"encode_scale", code.encode_scale},
          {"zero_point", code.zero_point}};
}

// Fills the nodes of the manifest.
class NodeWriter {
 public:
  NodeWriter(DetectorImpl& detector, Blobs& blobs)
      : graph_(detector.graph()),
        shapes_(infer_shapes(graph_)),
        blobs_(blobs),
        integers_(integer_graph(detector)),
        inputs_(integers_.inputs) {
    for (const auto& entry : state(detector)) {
      tensors_.insert(entry);
    }
  }

  Json nodes() {
    Json result = Json::array();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      node_ = &graph_.nodes[i];
      id_ = static_cast<NodeId>(i);
      Json entry = {{"name", node_->name}, {"kind", kind_name(node_->op)}};
      entry["inputs"] = Json::array();
      for (const NodeId input : node_->inputs) {
        entry["inputs"].push_back(graph_.nodes[input].name);
      }
      entry["output_shape"] = {shapes_[i].channels, shapes_[i].size.height, shapes_[i].size.width};
      std::visit([&](const auto& op) { describe_op(entry, op); }, node_->op);
      result.push_back(std::move(entry));
    }
    return result;
  }

 private:
  // The node whose values come here through nodes that a rising function may pass.
  NodeId source_of(NodeId id) const {
    const Node& node = graph_.nodes[id];
    const auto* pool = std::get_if<Pool>(&node.op);
    const bool passes =
        (pool != nullptr && pool->kind == PoolKind::kMax) ||
        std::holds_alternative<Upsample>(node.op) ||
        (std::holds_alternative<Concat>(node.op) && node.inputs.size() == 1 && !inputs_[id][0]);
    return passes ? source_of(node.inputs.front()) : id;
  }

  Json requantizations(const IntegerConv& conv, Activation activation) {
    Json result = Json::array();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      for (size_t k = 0; k < inputs_[i].size(); ++k) {
        if (!inputs_[i][k] || source_of(graph_.nodes[i].inputs[k]) != id_) {
          continue;
        }
        const auto found = requantization(conv, activation, *inputs_[i][k]);
        if (found) {
          const std::vector<int8_t> shift(found->shift.begin(), found->shift.end());
          result.push_back({{"consumer", graph_.nodes[i].name},
                            {"input", k},
                            {"factor", blobs_.row("float64", found->factor)},
                            {"mantissa", blobs_.row("int32", found->mantissa)},
                            {"shift", blobs_.row("int8", shift)},
                            {"zero_point", static_cast<int64_t>(inputs_[i][k]->zero_point)},
                            {"low", found->low},
                            {"high", found->high}});
        }
      }
    }
    return result;
  }

  static void describe_activation(Json& entry, Activation activation, double slope) {
    entry["activation"] = to_string(activation);
    if (activation == Activation::kLeaky) {
      entry["leaky_slope"] = slope;
    }
  }

  void describe_op(Json& entry, const Conv& op) {
    const IntegerConv& conv = integers_.convolutions.at(node_->name);
    entry["groups"] = op.groups;
    entry["stride"] = pair(op.stride);
    const auto [before, after] = padding_of(op, shapes_[node_->inputs[0]].size);
    entry["padding"] = pair(before);
    entry["padding_after"] = pair(after);
    entry["dilation"] = pair(op.dilation);
    describe_activation(entry, op.activation, op.leaky_slope);
    entry["integer"] = conv.is_integer();
    entry["input_code"] = conv.input ? describe(*conv.input) : Json();
    if (conv.weight) {
      entry["weight"] = blobs_.codes(conv.shape, *conv.weight);
      entry["multiplier"] = conv.weight->multiplier;
      entry["shift"] = conv.weight->shift;
      entry["weight_scale"] = blobs_.row("float64", conv.weight->scale);
    } else {
      entry["weight"] = blobs_.numbers("float32", conv.shape, conv.real_weight);
    }
    entry["scale"] = blobs_.row("float64", conv.scale);
    entry["real_bias"] = blobs_.row("float64", conv.real_bias);
    if (conv.is_integer()) {
      entry["bias"] = blobs_.row("int32", conv.bias);
      entry["accumulator_bits"] = conv.accumulator_bits;
      entry["constant_channels"] = conv.constant_channels;
      entry["requantize"] = requantizations(conv, op.activation);
    }
  }

  void describe_op(Json& entry, const Pool& op) {
    entry["global"] = op.global;
    entry["kernel"] = pair(op.kernel);
    entry["stride"] = pair(op.stride);
    entry["padding"] = pair(op.padding);
    entry["ceil_mode"] = op.ceil_mode;
  }

  void describe_merge(Json& entry) {
    entry["input_codes"] = Json::array();
    for (const auto& code : inputs_[id_]) {
      entry["input_codes"].push_back(code ? describe(*code) : Json());
    }
  }

  void describe_op(Json& entry, const Add& op) {
    describe_activation(entry, op.activation, op.leaky_slope);
    describe_merge(entry);
  }

  void describe_op(Json& entry, const Concat& /*op*/) { describe_merge(entry); }
  void describe_op(Json& entry, const Upsample& op) { entry["factor"] = op.factor; }

  void describe_op(Json& entry, const SqueezeExcite& op) {
    entry["inner"] = to_string(op.inner);
    entry["gate"] = to_string(op.gate);
    entry["activation"] = to_string(op.activation);
    for (const char* part : {"squeeze.weight", "squeeze.bias", "excite.weight", "excite.bias"}) {
      entry[part] = blobs_.floats(tensors_.at(node_->name + "." + part));
    }
  }

  void describe_op(Json& entry, const L2Norm& /*op*/) {
    entry["weight"] = blobs_.floats(tensors_.at(node_->name + ".weight"));
  }

  void describe_op(Json& /*entry*/, const Input& /*op*/) {}

  void describe_op(Json& entry, const Output& op) {
    entry["role"] = op.role == OutputRole::kClass ? "class" : "box";
    entry["level"] = op.level;
  }

  const Graph& graph_;
  std::vector<Shape> shapes_;
  Blobs& blobs_;
  const IntegerGraph integers_;
  const InputCodes& inputs_;
  std::map<std::string, torch::Tensor> tensors_;
  const Node* node_ = nullptr;
  NodeId id_ = 0;
};

Json detector_part(const ExportModel& model, Blobs& blobs) {
  const Config& config = model.config;
  std::vector<float> priors;
  for (const CenterBox& box : model.priors) {
    priors.insert(priors.end(), {box.cx, box.cy, box.w, box.h});
  }
  std::vector<std::string> names = {"background"};
  names.insert(names.end(), model.class_names.begin(), model.class_names.end());
  return {
      {"color_order", "RGB"},
      {"pixel_mean", config.input.pixel_mean},
      {"pixel_std", config.input.pixel_std},
      {"num_classes", config.model.num_classes},
      {"scores", config.model.box_head.scores},
      {"class_names", model.class_names.empty() ? std::vector<std::string>() : names},
      {"center_variance", config.model.center_variance},
      {"size_variance", config.model.size_variance},
      {"confidence_threshold", config.test.confidence_threshold},
      {"nms_threshold", config.test.nms_threshold},
      {"priors", blobs.numbers("float32", {static_cast<int64_t>(model.priors.size()), 4}, priors)}};
}

}  // namespace

void export_integers(const std::string& path, const ExportModel& model) {
  const auto plan = plan_quantization(model.graph, model.config.quantization);
  SSDQ_CHECK_CONFIG(!plan.empty(),
                    "format integers is for quantized models, but QUANTIZATION.TYPE {} quantizes "
                    "nothing; export float weights as safetensors, pth, bin or text",
                    model.config.quantization.type);
  Detector detector = model.detector();
  Blobs blobs;
  Json manifest = {{"format", "ssdq-integers"},
                   {"version", kVersion},
                   {"producer", std::string("SSDQ ") + SSDQ_VERSION}};
  Json nodes = NodeWriter(*detector, blobs).nodes();
  Json about = detector_part(model, blobs);
  manifest["binary"] = {{"name", path.substr(path.rfind('/') + 1)},
                        {"bytes", blobs.bytes().size()},
                        {"crc32", fmt::format("{:08x}", zip_crc32(blobs.bytes()))}};
  manifest["detector"] = std::move(about);
  manifest["nodes"] = std::move(nodes);
  write_file_atomically(path, blobs.bytes());
  write_file_atomically(path + ".json",
                        manifest.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace ssdq
