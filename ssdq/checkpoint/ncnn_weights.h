#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ssdq {

// Row-major.
struct NcnnTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// The tensors of an ncnn network: `param` is its text, `bin` the weights in the order of its
// layers. A layer L gives "L.weight" ([out, in / groups, h, w], or [out, in] of an InnerProduct)
// and, where it has them, "L.bias"; float16 and int8 weights come as float. An int8 layer also
// gives "L.weight_scale" [out], "L.input_scale" [1] and, where it requantizes its output,
// "L.output_scale" [1]: a weight of code q is q / weight_scale, and an input x is meant to become
// the code round(x input_scale), clamped to -127..127.
//
// Throws Error (a sentence without a path) for files that are damaged or do not belong together,
// and for a layer whose weights are of another kind: the bytes tell no names, so that none could be
// skipped. Memory is in proportion to the files.
std::vector<NcnnTensor> read_ncnn_weights(std::string_view param, std::string_view bin);

}  // namespace ssdq
