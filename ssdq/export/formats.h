#pragma once

#include <string>
#include <vector>

#include "ssdq/export/onnx_detector.h"
#include "ssdq/export/weight_files.h"

namespace ssdq {

// What the user may ask of the formats; each reads its own part.
struct ExportOptions {
  OnnxOptions onnx;       // torchscript: its heads
  WeightOptions weights;  // safetensors, pth, text, bin
};

struct ExportFormat {
  std::string name;
  std::string summary;  // for --help
  bool has_manifest;    // a second file, `path`.json, beside the first
  void (*write)(const std::string& path, const ExportModel& model, const ExportOptions& options);
};

// The formats of export_net, a row each.
const std::vector<ExportFormat>& export_formats();

// Throws ConfigError that lists the known names.
const ExportFormat& find_export_format(const std::string& name);

}  // namespace ssdq
