#include "ssdq/export/torchscript.h"

#include <cctype>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <torch/script.h>
#include <nlohmann/json.hpp>

#include "ssdq/detection/candidates.h"
#include "ssdq/export/detector_metadata.h"
#include "ssdq/export/export_model.h"
#include "ssdq/export/folded_state.h"
#include "ssdq/export/integer_graph.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr double kL2NormEps = 1e-10;  // of layers/l2_norm.h

std::string pair(Size2 size) { return fmt::format("[{}, {}]", size.height, size.width); }
const char* truth(bool value) { return value ? "True" : "False"; }

// "head.cls.0.weight" -> "head_cls_0_weight".
std::string identifier(std::string name) {
  for (char& letter : name) {
    letter = std::isalnum(static_cast<unsigned char>(letter)) != 0 ? letter : '_';
  }
  return name;
}

std::string activated(const std::string& x, Activation activation, double slope = 0.1) {
  switch (activation) {
    case Activation::kLinear:
      return x;
    case Activation::kRelu:
      return fmt::format("torch.relu({})", x);
    case Activation::kRelu6:
      return fmt::format("torch.hardtanh({}, 0, 6)", x);
    case Activation::kLeaky:
      return fmt::format("torch.leaky_relu({}, {})", x, slope);
    case Activation::kHSwish:
      return fmt::format("torch.hardswish({})", x);
    case Activation::kSwish:
      return fmt::format("torch.silu({})", x);
    case Activation::kHSigmoid:
      return fmt::format("torch.hardsigmoid({})", x);
    case Activation::kSigmoid:
      return fmt::format("torch.sigmoid({})", x);
  }
  return x;
}

// The values that the codes of x stand for.
std::string quantized(const std::string& x, const ActivationCode& code) {
  const double low = static_cast<double>(code.range.low),
               high = static_cast<double>(code.range.high), zero = code.zero_point;
  if (code.has_whole_zero()) {
    return fmt::format("torch.clamp(torch.round({} / {}), {}, {}) * {}", x, code.encode_scale,
                       low - zero, high - zero, code.scale);
  }
  return fmt::format("torch.clamp(torch.round(({} + {}) / {}), {}, {}) * {} - {}", x,
                     zero * code.encode_scale, code.encode_scale, low, high, code.scale,
                     zero * code.scale);
}

// Writes forward() of a module whose tensors it collects.
class ScriptWriter {
 public:
  ScriptWriter(const Graph& graph, const InputCodes& codes, const State& weights)
      : graph_(graph), shapes_(infer_shapes(graph)), codes_(codes) {
    weights_.insert(weights.begin(), weights.end());
  }

  void write(const ExportModel& model, OnnxHeads heads) {
    values_.emplace_back("images");
    for (size_t i = 1; i < graph_.nodes.size(); ++i) {
      id_ = static_cast<NodeId>(i);
      node_ = &graph_.nodes[i];
      values_.push_back(let(std::visit([this](const auto& op) { return text(op); }, node_->op)));
    }
    const std::string logits = rows(OutputRole::kClass, model.config.model.num_classes);
    const std::string regressions = rows(OutputRole::kBox, 4);
    if (heads == OnnxHeads::kRaw) {
      lines_ += fmt::format("    return ({}, {})\n", logits, regressions);
    } else {
      const bool sigmoid = score_function(model.config.model.box_head) == ScoreFunction::kSigmoid;
      lines_ += fmt::format("    return (torch.{}, {})\n",
                            fmt::format(sigmoid ? "sigmoid({})" : "softmax({}, 2)", logits),
                            decoded(regressions, model));
    }
  }

  torch::jit::Module module() const {
    torch::jit::Module result("Detector");
    result.register_attribute("training", c10::BoolType::get(), false);
    for (const auto& [name, tensor] : tensors_) {
      result.register_buffer(name, tensor);
    }
    result.define("def forward(self, images: Tensor) -> Tuple[Tensor, Tensor]:\n" + lines_);
    return result;
  }

 private:
  // A variable with the value of an expression, the same one for the same expression.
  std::string let(const std::string& expression) {
    const auto found = variables_.find(expression);
    if (found != variables_.end()) {
      return found->second;
    }
    const std::string name = fmt::format("x{}", variables_.size());
    lines_ += fmt::format("    {} = {}\n", name, expression);
    return variables_[expression] = name;
  }

  std::string in(size_t k = 0) {
    const std::string& value = values_[node_->inputs[k]];
    const auto& code = codes_[id_][k];
    return code ? let(quantized(value, *code)) : value;
  }

  std::string constant(const std::string& name, const torch::Tensor& tensor) {
    const std::string member = identifier(name);
    const bool is_new =
        tensors_.emplace(member, tensor.detach().to(torch::kCPU).clone().contiguous()).second;
    SSDQ_CHECK(is_new, "tensor '{}': another one is named {} in TorchScript too", name, member);
    return "self." + member;
  }

  std::string own(const std::string& part) {
    const std::string name = node_->name + "." + part;
    return constant(name, weights_.at(name));
  }

  std::string text(const Input& /*op*/) { return in(); }
  std::string text(const Output& /*op*/) { return in(); }

  std::string text(const Conv& op) {
    const std::string bias = op.bias || op.batch_norm ? own("bias") : "None";
    const auto [before, after] = padding_of(op, shapes_[node_->inputs.front()].size);
    const bool symmetric = before == after;
    const std::string x = symmetric
                              ? in()
                              : fmt::format("torch.constant_pad_nd({}, [{}, {}, {}, {}])", in(),
                                            before.width, after.width, before.height, after.height);
    const std::string y = fmt::format("torch.conv2d({}, {}, {}, {}, {}, {}, {})", x, own("weight"),
                                      bias, pair(op.stride), pair(symmetric ? before : Size2{0, 0}),
                                      pair(op.dilation), op.groups);
    return activated(y, op.activation, op.leaky_slope);
  }

  std::string text(const Pool& op) {
    const bool max = op.kind == PoolKind::kMax;
    if (op.global) {
      return fmt::format("torch.{}({}, [2, 3], True)", max ? "amax" : "mean", in());
    }
    const std::string window =
        fmt::format("{}, {}, {}, {}", in(), pair(op.kernel), pair(op.stride), pair(op.padding));
    return max ? fmt::format("torch.max_pool2d({}, [1, 1], {})", window, truth(op.ceil_mode))
               : fmt::format("torch.avg_pool2d({}, {})", window, truth(op.ceil_mode));
  }

  std::string text(const Add& op) {
    std::string sum = in(0);
    for (size_t k = 1; k < node_->inputs.size(); ++k) {
      sum = fmt::format("torch.add({}, {})", sum, in(k));
    }
    return activated(sum, op.activation, op.leaky_slope);
  }

  std::string text(const Concat& /*op*/) {
    std::vector<std::string> inputs;
    for (size_t k = 0; k < node_->inputs.size(); ++k) {
      inputs.push_back(in(k));
    }
    return inputs.size() == 1 ? inputs[0] : fmt::format("torch.cat([{}], 1)", join(inputs, ", "));
  }

  std::string text(const Upsample& op) {
    return fmt::format("torch.upsample_nearest2d({0}, None, [{1}.0, {1}.0])", in(), op.factor);
  }

  std::string text(const SqueezeExcite& op) {
    const auto dense = [&](const std::string& part, const std::string& x) {
      return fmt::format("torch.conv2d({}, {}, {})", x, own(part + ".weight"), own(part + ".bias"));
    };
    const std::string x = in(), mean = fmt::format("torch.mean({}, [2, 3], True)", x);
    const std::string inner = activated(dense("squeeze", mean), op.inner);
    const std::string gate = activated(dense("excite", inner), op.gate);
    return activated(fmt::format("torch.mul({}, {})", x, gate), op.activation);
  }

  std::string text(const L2Norm& /*op*/) {
    const std::string x = in();
    const std::string scale = constant(
        node_->name + ".weight", weights_.at(node_->name + ".weight").detach().view({1, -1, 1, 1}));
    return fmt::format("{0} / (torch.norm({0}, 2, [1], True) + {1}) * {2}", x, kL2NormEps, scale);
  }

  // Maps [N, A * width, H, W] of all levels -> [N, P, width].
  std::string rows(OutputRole role, int width) {
    std::vector<std::string> parts;
    for (const auto& map : maps_by_level(graph_, values_, role)) {
      parts.push_back(let(fmt::format(
          "torch.reshape(torch.permute({0}, [0, 2, 3, 1]), [torch.size({0}, 0), -1, {1}])", map,
          width)));
    }
    return let(fmt::format("torch.cat([{}], 1)", join(parts, ", ")));
  }

  // Regressions [N, P, 4] -> corners, in the order of operations of box_coder.h.
  std::string decoded(const std::string& regressions, const ExportModel& model) {
    const auto count = static_cast<int64_t>(model.priors.size());
    torch::Tensor centers = torch::empty({1, count, 2}), sizes = torch::empty({1, count, 2});
    for (int64_t i = 0; i < count; ++i) {
      const CenterBox& prior = model.priors[static_cast<size_t>(i)];
      centers[0][i][0] = prior.cx;
      centers[0][i][1] = prior.cy;
      sizes[0][i][0] = prior.w;
      sizes[0][i][1] = prior.h;
    }
    const std::string size = constant("priors.size", sizes);
    const std::string middle = let(fmt::format("torch.slice({}, 2, 0, 2) * {} * {} + {}",
                                               regressions, model.config.model.center_variance,
                                               size, constant("priors.center", centers)));
    const std::string half = let(fmt::format("torch.exp(torch.slice({}, 2, 2, 4) * {}) * {} * 0.5",
                                             regressions, model.config.model.size_variance, size));
    return fmt::format("torch.cat([{0} - {1}, {0} + {1}], 2)", middle, half);
  }

  const Graph& graph_;
  std::vector<Shape> shapes_;
  const InputCodes& codes_;
  std::map<std::string, torch::Tensor> weights_, tensors_;
  std::map<std::string, std::string> variables_;  // by expression
  std::vector<std::string> values_;
  std::string lines_;
  const Node* node_ = nullptr;
  NodeId id_ = 0;
};

// One JSON object, its values those of the ONNX metadata.
std::string metadata_text(const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json result;
  for (const auto& [key, value] : metadata) {
    result[key] = nlohmann::json::accept(value) ? nlohmann::ordered_json::parse(value)
                                                : nlohmann::ordered_json(value);
  }
  return result.dump(1) + "\n";
}

}  // namespace

void export_torchscript(const std::string& path, const ExportModel& model, OnnxHeads heads) {
  SSDQ_CHECK_CONFIG(heads != OnnxHeads::kDetections,
                    "TorchScript has no suppression; expected --outputs raw or decoded");
  const torch::NoGradGuard no_grad;
  Detector detector = model.detector();
  const InputCodes codes = input_codes(*detector);
  const State weights = folded_state(*detector);
  ScriptWriter writer(model.graph, codes, weights);
  writer.write(model, heads);
  std::ostringstream bytes;
  writer.module().save(bytes, {{"metadata.json", metadata_text(detector_metadata(model, heads))}});
  write_file_atomically(path, bytes.str());
}

}  // namespace ssdq
