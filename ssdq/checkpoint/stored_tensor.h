#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/checkpoint/pytorch_archive.h"

namespace ssdq {

// A tensor of a torch.save file, not read yet. All its elements lie in its storage.
struct StoredTensor {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // elements
  int64_t offset = 0;            // elements from the storage's start
  std::string_view key;          // the storage's
  std::string_view bytes;        // the storage's

  // Of the quantized types: value = (code - zero_point) * scale. By channel, `axis` is the
  // channels' dimension and `channels` holds the scales and the zero points, a value each.
  double scale = 1;
  int64_t zero_point = 0;
  int64_t axis = -1;
  std::vector<StoredTensor> channels;

  bool quantized() const { return type >= ElementType::kQInt8; }
};

// Whether a value is a tensor, a parameter included, even one that cannot be read.
bool is_tensor(const Pickle& pickle, PickleId id);

// Throws Error (a sentence without a path) for a tensor that is damaged, reaches out of its
// storage, or is of a kind SSDQ does not read. `name` is for the sentence and the result.
StoredTensor read_stored_tensor(const PytorchArchive& archive, PickleId id, std::string name);

int64_t count_elements(const StoredTensor& tensor);

// Writes the elements in row-major order, in this machine's byte order: count_elements() times
// element_size() bytes.
void copy_elements(const StoredTensor& tensor, bool big_endian, char* to);

// The name of a global of PyTorch's modules, or nothing for another value.
std::string_view torch_name(const Pickle& pickle, PickleId id);

}  // namespace ssdq
