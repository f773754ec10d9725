// libFuzzer target for the reader of .pth files, up to the tensors' bytes. Checksums are not
// compared, so that damage gets past them. Input that is no .pth file is taken as the pickle of one
// (the data.pkl of an archive) whose storages are all there. docs/formats.md tells how to run it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "ssdq/checkpoint/pytorch_contents.h"
#include "ssdq/utils/error.h"

namespace {

ssdq::PytorchArchive around_pickle(std::string_view pickle) {
  static const std::vector<char> zeros(4096);
  ssdq::PytorchArchive archive;
  archive.value = ssdq::parse_pickle(pickle);
  for (ssdq::PickleId id = 0; id < archive.value.nodes.size(); ++id) {
    try {
      const auto storage = ssdq::read_storage_reference(archive.value, id);
      const size_t unit = ssdq::element_size(ssdq::storage_type(storage.type));
      const auto elements = std::min<uint64_t>(storage.elements, zeros.size() / unit);
      archive.storages[storage.key].bytes = {zeros.data(), elements * unit};
    } catch (const ssdq::Error&) {
      continue;
    }
  }
  return archive;
}

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
    const auto archive =
        ssdq::looks_like_pytorch(file) ? ssdq::open_pytorch(file, false) : around_pickle(file);
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
