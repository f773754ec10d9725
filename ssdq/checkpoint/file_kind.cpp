#include "ssdq/checkpoint/file_kind.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

// Pickles start with PROTO 2..5; ONNX with its ir_version, then the producer (or an opset).
bool is_pickle(std::string_view start) {
  return start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5;
}

bool is_onnx(std::string_view start) {
  return start.size() >= 3 && start[0] == '\x08' && start[1] > 0 && start[1] < 32 &&
         (start[2] == '\x12' || start[2] == '\x3A' || start[2] == '\x42');
}

bool is_text(std::string_view start) {
  return std::all_of(start.begin(), start.end(), [](unsigned char c) {
    return (c >= ' ' && c != 0x7F) || c == '\n' || c == '\r' || c == '\t';
  });
}

std::string_view known_kind(std::string_view start) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kKinds{{
      {"\x89HDF", "an HDF5 (Keras) file"},
      {"PK\x03\x04", "a zip archive"},
      {"GGUF", "a GGUF file"},
      {"\x93NUMPY", "a NumPy array"},
      {"\x7F"
       "ELF",
       "a program"},
      {"\x89PNG", "a PNG picture"},
      {"\xFF\xD8\xFF", "a JPEG picture"},
      {"\x1F\x8B", "a gzip archive"},
      {"\xFD"
       "7zXZ",
       "an xz archive"},
      {"7z\xBC\xAF", "a 7z archive"},
      {"<!DOCTYPE", "a web page, perhaps a failed download"},
  }};
  for (const auto& [magic, kind] : kKinds) {
    if (start.substr(0, magic.size()) == magic) {
      return kind;
    }
  }
  return is_onnx(start) ? "an ONNX model" : is_text(start) ? "a text file" : "";
}

}  // namespace

std::string describe_foreign_file(std::string_view start) {
  if (start.empty()) {
    return "the file is empty; a safetensors or .pth checkpoint was expected";
  }
  if (is_pickle(start)) {
    return "it looks like a pickle that torch.save did not write; save the weights with torch.save "
           "or as safetensors";
  }
  const std::string_view kind = known_kind(start);
  return kind.empty()
             ? "it is neither a safetensors nor a .pth checkpoint, or its start is damaged"
             : fmt::format("it looks like {}; a safetensors or .pth checkpoint was expected", kind);
}

bool is_caffe_file(const std::string& path) { return ends_with(to_lower(path), ".caffemodel"); }

}  // namespace ssdq
