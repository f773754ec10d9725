#pragma once

#include <map>
#include <string>

#include "ssdq/export/onnx_heads.h"

namespace ssdq {

struct ExportModel;

// What a program needs to feed a detector and to read it (docs/export.md, "Metadata"); numbers and
// lists as JSON.
std::map<std::string, std::string> detector_metadata(const ExportModel& model, OnnxHeads heads);

}  // namespace ssdq
