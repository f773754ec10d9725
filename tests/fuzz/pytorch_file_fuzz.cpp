// libFuzzer target for the reader of .pth files, up to the tensors' bytes; checksums are not
// compared, so that damage gets past them. docs/formats.md tells how to run it.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "ssdq/checkpoint/pytorch_contents.h"
#include "ssdq/utils/error.h"

namespace {

void copy(const ssdq::StoredTensor& tensor, bool big_endian, uint64_t& total) {
  const auto count = static_cast<uint64_t>(ssdq::count_elements(tensor));
  std::vector<char> bytes(count * ssdq::element_size(tensor.type));
  total += bytes.size();
  ssdq::copy_elements(tensor, big_endian, bytes.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  uint64_t total = 0;
  try {
    const auto archive = ssdq::open_pytorch(file, false);
    const auto contents = ssdq::read_contents(archive, size);
    for (const auto& tensor : contents.tensors) {
      copy(tensor, archive.big_endian, total);
      for (const auto& channel : tensor.channels) {
        copy(channel, archive.big_endian, total);
      }
    }
  } catch (const ssdq::Error& error) {
    const std::string_view sentence = error.what();
    if (sentence.empty() || sentence.find('\n') != sentence.npos) {
      std::abort();
    }
  }
  if (total > 4 * size + (1 << 20)) {
    std::abort();
  }
  return 0;
}
