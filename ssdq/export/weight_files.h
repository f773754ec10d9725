#pragma once

#include <optional>
#include <string>

#include "ssdq/export/fixed_point.h"

namespace ssdq {

struct ExportModel;

struct WeightOptions {
  bool fold_batch_norm = false;           // and store the weights that the network computes with
  bool big_endian = false;                // bin
  std::optional<FixedPoint> fixed_point;  // text and bin; default: float32
};

// The weights alone, in the order of the network (docs/export.md). Saturated values are reported in
// the log. Throw ConfigError for options that the format does not have.
void export_safetensors(const std::string& path, const ExportModel& model,
                        const WeightOptions& options);
void export_pytorch(const std::string& path, const ExportModel& model,
                    const WeightOptions& options);
void export_text(const std::string& path, const ExportModel& model, const WeightOptions& options);
void export_binary(const std::string& path, const ExportModel& model, const WeightOptions& options);

}  // namespace ssdq
