#include "ssdq/export/onnx_detector.h"

#include <torch/types.h>

#include "ssdq/export/detector_metadata.h"
#include "ssdq/export/export_model.h"
#include "ssdq/export/onnx_graph.h"
#include "ssdq/export/onnx_qdq.h"
#include "ssdq/modeling/state.h"
#include "ssdq/quantization/policy.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

void check_options(const OnnxOptions& options, int least_opset) {
  SSDQ_CHECK_CONFIG(options.opset >= least_opset && options.opset <= kGreatestOnnxOpset,
                    "--opset must be in {}..{}, got {}", least_opset, kGreatestOnnxOpset,
                    options.opset);
  SSDQ_CHECK_CONFIG(
      options.ir_version == 0 || (options.ir_version >= 4 && options.ir_version <= 10),
      "--ir-version must be in 4..10, or 0 for that of the opset, got {}", options.ir_version);
  SSDQ_CHECK_CONFIG(options.dynamic_batch || options.batch_size >= 1,
                    "--static-batch must be at least 1, got {}", options.batch_size);
}

void refuse_quantized(const ExportModel& model) {
  const auto plan = plan_quantization(model.graph, model.config.quantization);
  SSDQ_CHECK_CONFIG(
      plan.empty(),
      "format onnx is FP32, but QUANTIZATION.TYPE {} quantizes {} nodes; take the format "
      "onnx-qdq, or the weights of a float training with `QUANTIZATION.TYPE none`",
      model.config.quantization.type, plan.size());
}

// The IR version that came with an opset (onnx, docs/Versioning.md).
int ir_version_of(int opset) { return opset >= 19 ? 9 : opset >= 15 ? 8 : opset >= 12 ? 7 : 6; }

State without_counters(const State& state) {
  State kept;
  for (const auto& entry : state) {
    if (!ends_with(entry.first, ".num_batches_tracked")) {
      kept.push_back(entry);
    }
  }
  return kept;
}

State shapes_only(const FloatTensors& tensors) {
  State state;
  for (const auto& [name, tensor] : tensors) {
    state.emplace_back(name, torch::empty(tensor.shape, torch::device(torch::kMeta)));
  }
  return state;
}

FloatTensors float_tensors(const State& state) {
  FloatTensors tensors;
  for (const auto& [name, tensor] : state) {
    const auto plain = tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
    const auto* data = plain.data_ptr<float>();
    tensors[name] = {plain.sizes().vec(), {data, data + plain.numel()}};
  }
  return tensors;
}

FloatTensors weights_of(const ExportModel& model) {
  const State found = without_counters(model.state);
  const auto differences = describe_differences(shapes_only(expected_tensors(model.graph)), found);
  SSDQ_CHECK(differences.empty(), "{}: not the weights of this network: {}", model.weights_file,
             differences);
  return float_tensors(found);
}

// A model with what `add_nodes` adds for the images: it returns the values of the graph's nodes.
template <typename AddNodes>
OnnxModel build(const ExportModel& model, const OnnxOptions& options, AddNodes add_nodes) {
  OnnxBuilder onnx(options.opset);
  onnx.model.ir_version =
      options.ir_version == 0 ? ir_version_of(options.opset) : options.ir_version;
  onnx.model.producer_name = "SSDQ";
  onnx.model.producer_version = SSDQ_VERSION;
  onnx.model.graph_name = "detector";
  onnx.model.metadata = detector_metadata(model, options.heads);
  const OnnxDim batch =
      options.dynamic_batch ? OnnxDim("batch") : OnnxDim(int64_t{options.batch_size});
  const auto& input = std::get<Input>(model.graph.nodes.at(0).op);
  const auto images = onnx.input(
      "images", OnnxType::kFloat,
      {batch, int64_t{input.channels}, int64_t{input.size.height}, int64_t{input.size.width}});
  const std::vector<std::string> values = add_nodes(onnx, images);
  add_heads(onnx, model.graph, values, model.priors, model.config, options.heads, batch);
  return std::move(onnx.model);
}

}  // namespace

OnnxModel build_onnx(const ExportModel& model, const OnnxOptions& options) {
  check_options(options, kLeastOnnxOpset);
  refuse_quantized(model);
  const FloatTensors weights = weights_of(model);
  return build(model, options, [&](OnnxBuilder& onnx, const std::string& images) {
    return add_graph(onnx, model.graph, weights, images);
  });
}

OnnxModel build_onnx_qdq(const ExportModel& model, const OnnxOptions& options) {
  check_options(options, kLeastQdqOpset);
  const auto& quantization = model.config.quantization;
  SSDQ_CHECK_CONFIG(!plan_quantization(model.graph, quantization).empty(),
                    "format onnx-qdq is for quantized models, but QUANTIZATION.TYPE {} quantizes "
                    "nothing; take the format onnx",
                    quantization.type);
  Detector detector = model.detector();
  const IntegerGraph integers = integer_graph(*detector);
  const FloatTensors weights = float_tensors(state(*detector));
  OnnxModel result = build(model, options, [&](OnnxBuilder& onnx, const std::string& images) {
    QdqWriter writer(onnx, model.graph, integers, options.float_bias);
    return add_graph(onnx, model.graph, weights, images, &writer);
  });
  result.metadata["quantization"] = quantization.type;
  return result;
}

void export_onnx(const std::string& path, const ExportModel& model, const OnnxOptions& options) {
  write_file_atomically(path, serialize(build_onnx(model, options)));
}

void export_onnx_qdq(const std::string& path, const ExportModel& model,
                     const OnnxOptions& options) {
  write_file_atomically(path, serialize(build_onnx_qdq(model, options)));
}

}  // namespace ssdq
