#include "ssdq/export/weight_files.h"

#include <map>

#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/export/export_model.h"
#include "ssdq/export/folded_state.h"
#include "ssdq/export/weight_dump.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

State weights_of(const ExportModel& model, const WeightOptions& options) {
  if (!options.fold_batch_norm) {
    return model.state;
  }
  Detector detector = model.detector();
  return folded_state(*detector);
}

std::map<std::string, std::string> metadata_of(const ExportModel& model,
                                               const WeightOptions& options) {
  std::map<std::string, std::string> metadata = {
      {"batch_norm", options.fold_batch_norm ? "folded" : "as trained"}};
  if (!model.class_names.empty()) {
    metadata["class_names"] = join(model.class_names, "\n");
  }
  return metadata;
}

void refuse_number_formats(const WeightOptions& options, const char* format) {
  SSDQ_CHECK_CONFIG(!options.big_endian && !options.fixed_point,
                    "--endian and --fixed-point are of the formats bin and text, not of {}",
                    format);
}

void dump(const std::string& path, const ExportModel& model, const WeightOptions& options,
          bool binary) {
  const DumpOptions how{binary, options.big_endian, options.fixed_point};
  const DumpReport report =
      write_weight_dump(path, weights_of(model, options), how, metadata_of(model, options));
  if (report.saturated > 0) {
    log_warning("{}: {} of {} values lie outside {} and were saturated", path, report.saturated,
                report.values, to_string(*options.fixed_point));
  }
}

}  // namespace

void export_safetensors(const std::string& path, const ExportModel& model,
                        const WeightOptions& options) {
  refuse_number_formats(options, "safetensors");
  auto metadata = metadata_of(model, options);
  metadata["format"] = "pt";  // which other readers ask for
  write_safetensors(path, {weights_of(model, options), metadata});
}

void export_pytorch(const std::string& path, const ExportModel& model,
                    const WeightOptions& options) {
  refuse_number_formats(options, "pth");
  write_pytorch(path, weights_of(model, options));
}

void export_text(const std::string& path, const ExportModel& model, const WeightOptions& options) {
  SSDQ_CHECK_CONFIG(!options.big_endian, "--endian is of the format bin, not of text");
  dump(path, model, options, false);
}

void export_binary(const std::string& path, const ExportModel& model,
                   const WeightOptions& options) {
  dump(path, model, options, true);
}

}  // namespace ssdq
