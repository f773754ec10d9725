#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace ssdq {

// A line of an ncnn .param file: the layer and its numbered parameters. Texts point into the
// file's.
struct NcnnLayer {
  std::string_view type, name;
  std::map<int, std::string_view> parameters;

  // A whole number, `fallback` where the file has none. Throws Error naming the layer when it is
  // none of least..most.
  int64_t integer(int key, int64_t fallback, int64_t least, int64_t most) const;
};

// The layers of the text form of ncnn's network file, in its order, which is that of the weights.
// Throws Error (a sentence without a path) for a text that is damaged or no such file.
std::vector<NcnnLayer> parse_ncnn_param(std::string_view text);

}  // namespace ssdq
