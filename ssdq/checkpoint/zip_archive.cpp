#include "ssdq/checkpoint/zip_archive.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr uint32_t kLocalHeader = 0x04034B50;
constexpr uint32_t kDirectoryHeader = 0x02014B50;
constexpr uint32_t kEnd = 0x06054B50;
constexpr uint32_t kEnd64 = 0x06064B50;
constexpr uint32_t kEnd64Locator = 0x07064B50;
constexpr uint64_t kLocalHeaderSize = 30;
constexpr uint64_t kDirectoryHeaderSize = 46;
constexpr uint64_t kEndSize = 22;
constexpr uint64_t kEnd64Size = 56;
constexpr uint64_t kEnd64LocatorSize = 20;
constexpr uint64_t kMaxComment = 0xFFFF;
constexpr uint16_t kExtra64 = 1;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // a 32-bit field whose value is in the zip64 extra field
constexpr uint64_t kAlignment = 64;

template <typename T>
T get(std::string_view bytes, uint64_t at) {
  SSDQ_CHECK(at <= bytes.size() && bytes.size() - at >= sizeof(T),
             "damaged file: its zip archive is cut off at byte {}", bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string_view slice(std::string_view bytes, uint64_t at, uint64_t size) {
  SSDQ_CHECK(at <= bytes.size() && size <= bytes.size() - at,
             "damaged file: a part of its zip archive (byte {}, {} bytes) lies outside the file",
             at, size);
  return bytes.substr(at, size);
}

struct Directory {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t count = 0;
};

uint64_t find_end(std::string_view archive) {
  const uint64_t size = archive.size();
  const uint64_t lowest = size - std::min(size, kEndSize + kMaxComment);
  for (uint64_t at = size; at-- > lowest;) {
    if (size - at >= kEndSize && get<uint32_t>(archive, at) == kEnd &&
        get<uint16_t>(archive, at + 20) <= size - at - kEndSize) {
      return at;
    }
  }
  fail("damaged file: it starts as a zip archive and has no end of one; it may be truncated");
}

Directory find_directory(std::string_view archive) {
  const uint64_t end = find_end(archive);
  if (end >= kEnd64LocatorSize &&
      get<uint32_t>(archive, end - kEnd64LocatorSize) == kEnd64Locator) {
    const auto at = get<uint64_t>(archive, end - kEnd64LocatorSize + 8);
    const std::string_view end64 = slice(archive, at, kEnd64Size);
    SSDQ_CHECK(get<uint32_t>(end64, 0) == kEnd64, "damaged file: its zip64 directory is missing");
    return {get<uint64_t>(end64, 48), get<uint64_t>(end64, 40), get<uint64_t>(end64, 32)};
  }
  return {get<uint32_t>(archive, end + 16), get<uint32_t>(archive, end + 12),
          get<uint16_t>(archive, end + 10)};
}

// Replaces the fields that are kIn64 by their values in the extra field, which has them in order.
void read_extra64(std::string_view extra, const std::array<uint64_t*, 3>& fields) {
  for (uint64_t at = 0; at + 4 <= extra.size();) {
    const auto size = get<uint16_t>(extra, at + 2);
    if (get<uint16_t>(extra, at) == kExtra64) {
      const std::string_view values = slice(extra, at + 4, size);
      uint64_t position = 0;
      for (uint64_t* field : fields) {
        if (*field == kIn64) {
          *field = get<uint64_t>(values, position);
          position += 8;
        }
      }
      return;
    }
    at += uint64_t{4} + size;
  }
}

// The local header repeats the name and may have another extra field than the directory.
std::string_view locate(std::string_view archive, std::string_view name, uint64_t header,
                        uint64_t size) {
  const std::string_view local = slice(archive, header, kLocalHeaderSize);
  const uint64_t name_size = get<uint16_t>(local, 26);
  SSDQ_CHECK(get<uint32_t>(local, 0) == kLocalHeader &&
                 slice(archive, header + kLocalHeaderSize, name_size) == name,
             "damaged file: an entry of its zip archive is not where the directory says (byte {})",
             header);
  return slice(archive, header + kLocalHeaderSize + name_size + get<uint16_t>(local, 28), size);
}

ZipEntry read_entry(std::string_view archive, std::string_view directory, uint64_t& at) {
  const std::string_view head = slice(directory, at, kDirectoryHeaderSize);
  SSDQ_CHECK(get<uint32_t>(head, 0) == kDirectoryHeader,
             "damaged file: the directory of its zip archive is broken");
  const bool encrypted = (get<uint16_t>(head, 8) & 1) != 0;
  const bool packed = encrypted || get<uint16_t>(head, 10) != 0;
  const uint64_t name_size = get<uint16_t>(head, 28);
  const uint64_t extra_size = get<uint16_t>(head, 30);
  uint64_t stored = get<uint32_t>(head, 20);
  uint64_t size = get<uint32_t>(head, 24);
  uint64_t offset = get<uint32_t>(head, 42);
  const std::string_view name = slice(directory, at + kDirectoryHeaderSize, name_size);
  read_extra64(slice(directory, at + kDirectoryHeaderSize + name_size, extra_size),
               {&size, &stored, &offset});
  SSDQ_CHECK(packed || stored == size,
             "damaged file: the sizes of an entry of its zip archive disagree");
  at += kDirectoryHeaderSize + name_size + extra_size + get<uint16_t>(head, 32);
  return {name, locate(archive, name, offset, stored), get<uint32_t>(head, 16), packed};
}

// Overlapping entries could make a small file stand for a large one.
void check_apart(const std::vector<ZipEntry>& entries) {
  std::vector<std::pair<const char*, const char*>> ranges;
  for (const auto& entry : entries) {
    ranges.emplace_back(entry.data.data(), entry.data.data() + entry.data.size());
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    SSDQ_CHECK(ranges[i].first >= ranges[i - 1].second,
               "damaged file: entries of its zip archive overlap");
  }
}

constexpr size_t kCrcStep = 16;  // bytes at once

using CrcTables = std::array<std::array<uint32_t, 256>, kCrcStep>;

// Table k advances a byte's remainder past k more bytes, so that many bytes go at once.
constexpr CrcTables make_crc_tables() {
  CrcTables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320U : 0U);
    }
    tables[0][i] = value;
  }
  for (size_t k = 1; k < kCrcStep; ++k) {
    for (size_t i = 0; i < 256; ++i) {
      tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xFF];
    }
  }
  return tables;
}

constexpr CrcTables kCrcTables = make_crc_tables();

template <typename T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// The fields from "version needed" to the sizes, which both kinds of header share.
std::string common_header(uint32_t crc, uint64_t size, bool wide) {
  constexpr uint16_t kDosDay = 0x0021;  // 1980-01-01: equal tensors give equal files
  const auto small = wide ? kIn64 : static_cast<uint32_t>(size);
  std::string bytes;
  put<uint16_t>(bytes, wide ? 45 : 20);
  put<uint16_t>(bytes, 0x0800);  // names are UTF-8
  put<uint16_t>(bytes, 0);
  put<uint16_t>(bytes, 0);
  put<uint16_t>(bytes, kDosDay);
  put(bytes, crc);
  put(bytes, small);
  put(bytes, small);
  return bytes;
}

}  // namespace

std::vector<ZipEntry> list_zip(std::string_view archive) {
  const Directory place = find_directory(archive);
  const std::string_view directory = slice(archive, place.offset, place.size);
  SSDQ_CHECK(place.count <= directory.size() / kDirectoryHeaderSize,
             "damaged file: its zip archive claims {} entries", place.count);
  std::vector<ZipEntry> entries;
  uint64_t at = 0;
  for (uint64_t i = 0; i < place.count; ++i) {
    entries.push_back(read_entry(archive, directory, at));
  }
  check_apart(entries);
  return entries;
}

uint32_t zip_crc32(std::string_view bytes, uint32_t before) {
  uint32_t crc = ~before;
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  for (; end - at >= static_cast<std::ptrdiff_t>(kCrcStep); at += kCrcStep) {
    std::array<uint64_t, 2> words{};
    std::memcpy(words.data(), at, kCrcStep);
    words[0] ^= crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) {
      crc ^= kCrcTables[15 - k][(words[0] >> (8 * k)) & 0xFF] ^
             kCrcTables[7 - k][(words[1] >> (8 * k)) & 0xFF];
    }
  }
  for (; at != end; ++at) {
    crc = (crc >> 8) ^ kCrcTables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xFF];
  }
  return ~crc;
}

bool matches_crc(const ZipEntry& entry) { return zip_crc32(entry.data) == entry.crc; }

ZipWriter::ZipWriter(Sink sink, uint64_t zip64_from)
    : sink_(std::move(sink)), zip64_from_(std::min<uint64_t>(zip64_from, kIn64)) {}

void ZipWriter::write(const std::string& bytes) {
  sink_(bytes.data(), bytes.size());
  position_ += bytes.size();
}

void ZipWriter::add(const std::string& name, std::string_view data) {
  const bool wide = data.size() >= zip64_from_;
  records_.push_back({name, data.size(), position_, zip_crc32(data)});
  std::string extra;
  if (wide) {
    put<uint16_t>(extra, kExtra64);
    put<uint16_t>(extra, 16);
    put<uint64_t>(extra, data.size());
    put<uint64_t>(extra, data.size());
  }
  // PyTorch's own extra field "FB" pads up to the data.
  const uint64_t start = position_ + kLocalHeaderSize + name.size() + extra.size() + 4;
  const uint64_t padding = (kAlignment - start % kAlignment) % kAlignment;
  extra += "FB";
  put(extra, static_cast<uint16_t>(padding));
  extra.append(padding, 'Z');

  std::string header;
  put(header, kLocalHeader);
  header += common_header(records_.back().crc, data.size(), wide);
  put(header, static_cast<uint16_t>(name.size()));
  put(header, static_cast<uint16_t>(extra.size()));
  write(header + name + extra);
  sink_(data.data(), data.size());
  position_ += data.size();
}

void ZipWriter::finish() {
  const uint64_t start = position_;
  for (const auto& record : records_) {
    const bool wide = record.size >= zip64_from_ || record.offset >= zip64_from_;
    std::string header;
    put(header, kDirectoryHeader);
    put<uint16_t>(header, wide ? 45 : 20);
    header += common_header(record.crc, record.size, wide);
    put(header, static_cast<uint16_t>(record.name.size()));
    put<uint16_t>(header, wide ? 28 : 0);
    header.append(10, '\0');  // comment, disk, attributes
    put(header, wide ? kIn64 : static_cast<uint32_t>(record.offset));
    header += record.name;
    if (wide) {
      put<uint16_t>(header, kExtra64);
      put<uint16_t>(header, 24);
      put(header, record.size);
      put(header, record.size);
      put(header, record.offset);
    }
    write(header);
  }
  const uint64_t end = position_;
  const uint64_t count = records_.size();
  const bool wide = end >= zip64_from_ || count >= 0xFFFF;
  std::string tail;
  if (wide) {
    put(tail, kEnd64);
    put<uint64_t>(tail, kEnd64Size - 12);
    put<uint32_t>(tail, 45 | 45 << 16);
    put<uint64_t>(tail, 0);
    put(tail, count);
    put(tail, count);
    put(tail, end - start);
    put(tail, start);
    put(tail, kEnd64Locator);
    put<uint32_t>(tail, 0);
    put(tail, end);
    put<uint32_t>(tail, 1);
  }
  put(tail, kEnd);
  put<uint32_t>(tail, 0);
  const auto short_count = static_cast<uint16_t>(wide ? 0xFFFF : count);
  put(tail, short_count);
  put(tail, short_count);
  put(tail, wide ? kIn64 : static_cast<uint32_t>(end - start));
  put(tail, wide ? kIn64 : static_cast<uint32_t>(start));
  put<uint16_t>(tail, 0);
  write(tail);
}

}  // namespace ssdq
