#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ssdq {

// One file of a zip archive.
struct ZipEntry {
  std::string_view name;  // as in the archive, with forward slashes
  std::string_view data;  // in the archive's memory
  uint32_t crc = 0;       // what the archive says; matches_crc() compares
  bool packed = false;    // `data` are compressed or encrypted
};

// The entries in the order of the archive's directory, zip64 included. Every entry lies within
// `archive` and they do not overlap, whatever the bytes are. Throws Error (a sentence without a
// path) for what is damaged, compressed or encrypted.
std::vector<ZipEntry> list_zip(std::string_view archive);

// The CRC-32 of zip and PNG, continued from that of the bytes before.
uint32_t zip_crc32(std::string_view bytes, uint32_t before = 0);

bool matches_crc(const ZipEntry& entry);

// Writes an archive of uncompressed entries front to back. Each entry's data start at a multiple
// of 64 bytes, as PyTorch has it, so that they can be mapped into memory.
class ZipWriter {
 public:
  using Sink = std::function<void(const void* data, size_t size)>;

  // Sizes and offsets from `zip64_from` on are written in 64 bits.
  explicit ZipWriter(Sink sink, uint64_t zip64_from = 0xFFFFFFFF);

  // `name` has at most 65535 bytes.
  void add(const std::string& name, std::string_view data);

  // Writes the directory; nothing may be added after.
  void finish();

 private:
  void write(const std::string& bytes);

  struct Record {
    std::string name;
    uint64_t size;
    uint64_t offset;
    uint32_t crc;
  };
  Sink sink_;
  uint64_t zip64_from_;
  uint64_t position_ = 0;
  std::vector<Record> records_;
};

}  // namespace ssdq
