#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "ssdq/checkpoint/pickle.h"

namespace ssdq {

// The element types of PyTorch's storages. The quantized ones hold codes.
enum class ElementType : uint8_t {
  kBool,
  kInt8,
  kUInt8,
  kInt16,
  kInt32,
  kInt64,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
  kQInt8,
  kQUInt8,
  kQInt32,
};

size_t element_size(ElementType type);

// What a file of torch.save holds: one value and the memory its tensors lie in.
struct PytorchArchive {
  struct Storage {
    std::string_view bytes;
    bool has_crc = false;
    uint32_t crc = 0;
  };

  Pickle value;
  std::map<std::string_view, Storage> storages;  // by key
  bool big_endian = false;                       // of the elements in the storages
};

// What a persistent id of a torch.save pickle says about a storage.
struct StorageReference {
  std::string_view type;  // such as FloatStorage
  std::string_view key;
  int64_t elements = 0;
  int64_t view_offset = 0;  // elements; of a legacy view into the storage
  int64_t view_elements = -1;
};

// Throws Error if `id` is not the persistent id of a storage.
StorageReference read_storage_reference(const Pickle& pickle, PickleId id);

// The element type of a storage class such as FloatStorage; throws Error for one SSDQ cannot read.
ElementType storage_type(std::string_view name);

// Whether a file that starts so is one of torch.save: a zip archive, the stream of earlier
// versions, or the tar archive of the first ones.
bool looks_like_pytorch(std::string_view start);

// Opens a file in memory, which must outlive the result. Throws Error (a sentence without a path).
// Without `verify` a wrong checksum of the pickle is let pass; those of the storages are for the
// caller to compare.
PytorchArchive open_pytorch(std::string_view file, bool verify = true);

}  // namespace ssdq
