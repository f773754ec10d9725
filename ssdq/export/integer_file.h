#pragma once

#include <string>

namespace ssdq {

struct ExportModel;

// A quantized detector as integers: `path` holds the packed numbers, `path`.json says what they are
// (docs/export_integers.md). Throws ConfigError when the configuration quantizes nothing, and Error
// naming the node whose method has no integers.
void export_integers(const std::string& path, const ExportModel& model);

}  // namespace ssdq
