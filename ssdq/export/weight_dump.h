#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "ssdq/checkpoint/state.h"
#include "ssdq/export/fixed_point.h"

namespace ssdq {

struct DumpOptions {
  bool binary = true;                     // else text, a number in each line
  bool big_endian = false;                // binary
  std::optional<FixedPoint> fixed_point;  // codes instead of float32
};

struct DumpReport {
  size_t values = 0;
  size_t saturated = 0;  // values beyond the range of the fixed-point format
};

// Writes the numbers of all floating tensors in their order, with a JSON manifest that says what
// lies where (docs/export.md). `path` is the data file and `path`.json the manifest; with a slash
// at its end it is a folder for weights.bin or .txt (tensors with "weight" in their names),
// bias.bin or .txt (the others) and manifest.json. Integer tensors stand in the manifest alone. The
// manifest is written last. Throws Error for values that are not finite.
DumpReport write_weight_dump(const std::string& path, const State& state,
                             const DumpOptions& options,
                             const std::map<std::string, std::string>& metadata = {});

// Reads a dump back, also one whose numbers another program has changed (its manifest must then
// have no checksums): float32 tensors, or int64 for those in the manifest. `path` is what
// write_weight_dump was given, or the manifest. Whatever the files hold, the result is the tensors
// or an Error of one sentence, in memory in proportion to the files.
State read_weight_dump(const std::string& path);

}  // namespace ssdq
