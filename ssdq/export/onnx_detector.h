#pragma once

#include <string>

#include "ssdq/export/onnx_file.h"
#include "ssdq/export/onnx_heads.h"

namespace ssdq {

struct ExportModel;

constexpr int kLeastOnnxOpset = 11;
constexpr int kLeastQdqOpset = 13;  // the first with scales by channel
constexpr int kGreatestOnnxOpset = 19;

struct OnnxOptions {
  int opset = 17;      // 11..19; with codes from 13
  int ir_version = 0;  // 4..10; 0: the one that the opset came with
  OnnxHeads heads = OnnxHeads::kRaw;
  bool dynamic_batch = true;  // any number of images, "batch"
  int batch_size = 1;         // when it is not dynamic
  bool float_bias = false;    // with codes: biases as they are, not rounded to int32
};

// The detector as an FP32 ONNX model (docs/export.md). Its input is "images" [N, channels, H, W],
// RGB, (value - mean) / std. Throws ConfigError for an option out of range and for a
// configuration that quantizes anything, Error when the state is not that of the graph.
OnnxModel build_onnx(const ExportModel& model, const OnnxOptions& options);

// A quantized detector with its codes as QuantizeLinear and DequantizeLinear. Throws ConfigError
// for an option out of range and for a configuration that quantizes nothing, and Error naming the
// node whose method has no integers or whose codes need more than 8 bits.
OnnxModel build_onnx_qdq(const ExportModel& model, const OnnxOptions& options);

// Into a file, which appears as a whole or not at all.
void export_onnx(const std::string& path, const ExportModel& model, const OnnxOptions& options);
void export_onnx_qdq(const std::string& path, const ExportModel& model, const OnnxOptions& options);

}  // namespace ssdq
