#include "ssdq/export/formats.h"

#include "ssdq/utils/error.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

void write_onnx(const std::string& path, const ExportModel& model, const ExportOptions& options) {
  export_onnx(path, model, options.onnx);
}

}  // namespace

const std::vector<ExportFormat>& export_formats() {
  static const std::vector<ExportFormat> formats = {
      {"onnx", "FP32 ONNX model", write_onnx},
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
