// libFuzzer target for the reader of ncnn networks. The input is the .param text up to the first
// byte 0, then the .bin.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ssdq/checkpoint/ncnn_weights.h"
#include "ssdq/utils/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(file.find('\0'), size);
  size_t values = 0;
  try {
    for (const auto& tensor :
         ssdq::read_ncnn_weights(file.substr(0, end), file.substr(std::min(end + 1, size)))) {
      values += tensor.values.size();
    }
  } catch (const ssdq::Error& error) {
    const std::string_view sentence = error.what();
    if (sentence.empty() || sentence.find('\n') != sentence.npos) {
      std::abort();
    }
  }
  if (values > 4 * size) {
    std::abort();
  }
  return 0;
}
