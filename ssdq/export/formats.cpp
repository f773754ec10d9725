#include "ssdq/export/formats.h"

#include "ssdq/export/integer_file.h"
#include "ssdq/export/torchscript.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

template <void (*kWrite)(const std::string&, const ExportModel&, const OnnxOptions&)>
void write_onnx(const std::string& path, const ExportModel& model, const ExportOptions& options) {
  kWrite(path, model, options.onnx);
}

template <void (*kWrite)(const std::string&, const ExportModel&, const WeightOptions&)>
void write_weights(const std::string& path, const ExportModel& model,
                   const ExportOptions& options) {
  kWrite(path, model, options.weights);
}

void write_integers(const std::string& path, const ExportModel& model,
                    const ExportOptions& /*options*/) {
  export_integers(path, model);
}

void write_torchscript(const std::string& path, const ExportModel& model,
                       const ExportOptions& options) {
  export_torchscript(path, model, options.onnx.heads);
}

}  // namespace

const std::vector<ExportFormat>& export_formats() {
  static const std::vector<ExportFormat> formats = {
      {"onnx", "FP32 ONNX model", false, write_onnx<export_onnx>},
      {"onnx-qdq", "ONNX model with the int8 codes of a quantized model", false,
       write_onnx<export_onnx_qdq>},
      {"torchscript", "TorchScript module, float or quantized", false, write_torchscript},
      {"safetensors", "weights, safetensors", false, write_weights<export_safetensors>},
      {"pth", "weights, a state dict for PyTorch", false, write_weights<export_pytorch>},
      {"text", "weights, a number in each line, and a manifest", true, write_weights<export_text>},
      {"bin", "weights, float32 or fixed point, and a manifest", true,
       write_weights<export_binary>},
      {"integers", "integer weights and scales of a quantized model, and a manifest", true,
       write_integers},
  };
  return formats;
}

const ExportFormat& find_export_format(const std::string& name) {
  std::vector<std::string> known;
  for (const ExportFormat& format : export_formats()) {
    if (format.name == name) {
      return format;
    }
    known.push_back(format.name);
  }
  fail_config("--format: unknown format '{}'{}", name, suggestion(name, known));
}

}  // namespace ssdq
