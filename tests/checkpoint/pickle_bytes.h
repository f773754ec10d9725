#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ssdq/checkpoint/zip_archive.h"

namespace ssdq::testing {

// Pieces of pickles, to build by hand what PyTorch would not write.
template <typename T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

inline std::string text(const std::string& value) {
  return "X" + raw(static_cast<uint32_t>(value.size())) + value;
}

inline std::string integer(int64_t value) { return "\x8A\x08" + raw(value); }

inline std::string integers(const std::vector<int64_t>& values) {
  std::string bytes = "(";
  for (const int64_t value : values) {
    bytes += integer(value);
  }
  return bytes + "t";
}

inline std::string storage(const std::string& type, int64_t elements) {
  return "(" + text("storage") + "ctorch\n" + type + "\n" + text("0") + text("cpu") +
         integer(elements) + "tQ";
}

// A tensor in the storage "0" of 16 floats that pth_with() makes.
inline std::string tensor(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                          int64_t offset = 0) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage("FloatStorage", 16) + integer(offset) +
         integers(shape) + integers(strides) + "\x89NtR";
}

inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string bytes;
  ZipWriter writer(
      [&](const void* data, size_t size) { bytes.append(static_cast<const char*>(data), size); });
  for (const auto& [name, data] : entries) {
    writer.add(name, data);
  }
  writer.finish();
  return bytes;
}

// A .pth file whose value is what `opcodes` leave on the stack; its storage "0" is 64 bytes of 0.
inline std::string pth_with(const std::string& opcodes) {
  return zip_of({{"archive/data.pkl", "\x80\x02" + opcodes + "."},
                 {"archive/data/0", std::string(64, '\0')}});
}

}  // namespace ssdq::testing
