#pragma once

#include <string>

#include "ssdq/export/onnx_file.h"
#include "ssdq/export/onnx_heads.h"

namespace ssdq {

struct ExportModel;

constexpr int kLeastOnnxOpset = 11;
constexpr int kGreatestOnnxOpset = 19;

struct OnnxOptions {
  int opset = 17;      // 11..19
  int ir_version = 0;  // 4..10; 0: the one that the opset came with
  OnnxHeads heads = OnnxHeads::kRaw;
  bool dynamic_batch = true;  // any number of images, "batch"
  int batch_size = 1;         // when it is not dynamic
};

// "raw", "decoded" or "detections". Throws ConfigError for another word.
OnnxHeads parse_onnx_heads(const std::string& word);

// The detector as an FP32 ONNX model (docs/export.md). Its input is "images" [N, channels, H, W],
// RGB, (value - mean) / std. Throws ConfigError for an option out of range and for a
// configuration that quantizes anything, Error when the state is not that of the graph.
OnnxModel build_onnx(const ExportModel& model, const OnnxOptions& options);

// build_onnx into a file, which appears as a whole or not at all.
void export_onnx(const std::string& path, const ExportModel& model, const OnnxOptions& options);

}  // namespace ssdq
