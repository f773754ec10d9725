#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/checkpoint/stored_tensor.h"

namespace ssdq {

// The tensors of a torch.save file by name, and the plain values beside them as text.
struct PytorchContents {
  std::vector<StoredTensor> tensors;
  std::map<std::string, std::string> metadata;  // "container": the keys that lead to the tensors
};

// Finds the weights in whatever was saved (docs/formats.md). The tensors need at most four times
// `file_size` and 1 MiB of memory. Throws Error (a sentence without a path).
PytorchContents read_contents(const PytorchArchive& archive, size_t file_size);

}  // namespace ssdq
