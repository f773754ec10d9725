#pragma once

#include <string>

#include "ssdq/export/onnx_heads.h"

namespace ssdq {

struct ExportModel;

// The detector as a TorchScript module, which C++ and Python run without SSDQ (docs/export.md):
// forward(images [N, channels, H, W]) gives (scores, boxes) as OnnxHeads says. Batch norms are
// folded, weights are those that the network computes with, and inputs are quantized as the
// detector does it. Throws ConfigError for kDetections, and Error naming the node whose input has
// no codes.
void export_torchscript(const std::string& path, const ExportModel& model, OnnxHeads heads);

}  // namespace ssdq
