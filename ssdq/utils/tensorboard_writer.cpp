#include "ssdq/utils/tensorboard_writer.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Field numbers of the messages in TensorFlow's event.proto and summary.proto.
constexpr uint32_t kEventWallTime = 1;        // double, seconds since 1970
constexpr uint32_t kEventStep = 2;            // int64
constexpr uint32_t kEventFileVersion = 3;     // string
constexpr uint32_t kEventSummary = 5;         // Summary
constexpr uint32_t kEventSessionLog = 7;      // SessionLog
constexpr uint32_t kSessionLogStatus = 1;     // enum
constexpr uint32_t kSummaryValue = 1;         // repeated Summary.Value
constexpr uint32_t kValueTag = 1;             // string
constexpr uint32_t kValueSimpleValue = 2;     // float
constexpr uint32_t kValueImage = 4;           // Summary.Image
constexpr uint32_t kValueMetadata = 9;        // SummaryMetadata
constexpr uint32_t kImageHeight = 1;          // int32
constexpr uint32_t kImageWidth = 2;           // int32
constexpr uint32_t kImageColorspace = 3;      // int32
constexpr uint32_t kImageEncoded = 4;         // bytes
constexpr uint32_t kMetadataDescription = 3;  // string

constexpr uint64_t kSessionStart = 1;
constexpr uint64_t kColorspaceRgb = 3;

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out += static_cast<char>(value | 0x80);
  }
  out += static_cast<char>(value);
}

void append_uint(std::string& out, uint32_t field, uint64_t value) {
  append_varint(out, field << 3);
  append_varint(out, value);
}

template <typename Number>
void append_little_endian(std::string& out, Number value) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void append_double(std::string& out, uint32_t field, double value) {
  append_varint(out, field << 3 | 1);
  append_little_endian(out, value);
}

void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_varint(out, field << 3 | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_float(std::string& out, uint32_t field, float value) {
  append_varint(out, field << 3 | 5);
  append_little_endian(out, value);
}

std::string encode_scalar(const std::string& tag, double scalar) {
  std::string value;
  append_bytes(value, kValueTag, tag);
  append_float(value, kValueSimpleValue, static_cast<float>(scalar));
  return value;
}

std::string encode_image(const std::string& tag, const EventStorage::Image& image) {
  std::string picture;
  append_uint(picture, kImageHeight, static_cast<uint64_t>(image.height));
  append_uint(picture, kImageWidth, static_cast<uint64_t>(image.width));
  append_uint(picture, kImageColorspace, kColorspaceRgb);
  append_bytes(picture, kImageEncoded, image.png);
  std::string value;
  append_bytes(value, kValueTag, tag);
  append_bytes(value, kValueImage, picture);
  if (!image.caption.empty()) {
    std::string metadata;
    append_bytes(metadata, kMetadataDescription, image.caption);
    append_bytes(value, kValueMetadata, metadata);
  }
  return value;
}

std::string summary_field(const std::string& value) {
  std::string summary;
  append_bytes(summary, kSummaryValue, value);
  std::string field;
  append_bytes(field, kEventSummary, summary);
  return field;
}

// TFRecord stores checksums rotated and offset, so that data holding checksums has a useful one.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8U;
}

std::string frame(std::string_view data) {
  std::string record;
  append_little_endian(record, static_cast<uint64_t>(data.size()));
  append_little_endian(record, masked_crc(record));
  record += data;
  append_little_endian(record, masked_crc(data));
  return record;
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string new_path(const std::string& folder) {
  char host[256] = "localhost";
  if (::gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
    std::strcpy(host, "localhost");
  }
  const std::string first = fmt::format("{}/events.out.tfevents.{:010}.{}.{}", folder,
                                        static_cast<int64_t>(wall_time()), host, ::getpid());
  std::string path = first;
  std::error_code unreadable;  // opening the file will say so
  for (int i = 1; std::filesystem::exists(path, unreadable); ++i) {
    path = fmt::format("{}.{}", first, i);
  }
  return path;
}

std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    table[i] = crc;
  }
  return table;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = make_crc_table();
  uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc = crc >> 8 ^ table[(crc ^ static_cast<uint8_t>(byte)) & 0xFF];
  }
  return ~crc;
}

TensorBoardWriter::TensorBoardWriter(const std::string& folder, int64_t first_iteration)
    : path_(new_path(folder)) {
  errno = 0;
  file_.open(path_, std::ios::binary);
  const int reason = errno;
  SSDQ_CHECK(file_.is_open(), "{}: cannot create the TensorBoard file: {}", path_,
             std::generic_category().message(reason));
  std::string version;
  append_bytes(version, kEventFileVersion, "brain.Event:2");
  append_event(0, version);
  if (first_iteration > 0) {
    std::string session;
    append_uint(session, kSessionLogStatus, kSessionStart);
    std::string field;
    append_bytes(field, kEventSessionLog, session);
    append_event(first_iteration, field);
  }
  flush();
}

void TensorBoardWriter::write(const EventStorage& storage) {
  if (!file_.is_open()) {
    return;
  }
  errno = 0;
  for (const auto& [name, scalar] : storage.scalars()) {
    if (scalar.version > seen_) {
      append_event(scalar.iteration, summary_field(encode_scalar(name, scalar.value)));
    }
  }
  for (const auto& [name, image] : storage.images()) {
    if (image.version > seen_) {
      append_event(image.iteration, summary_field(encode_image(name, image)));
    }
  }
  seen_ = storage.version();
  flush();
}

void TensorBoardWriter::append_event(int64_t step, std::string_view field) {
  std::string event;
  append_double(event, kEventWallTime, wall_time());
  append_uint(event, kEventStep, static_cast<uint64_t>(step));
  event += field;
  file_ << frame(event);
}

void TensorBoardWriter::flush() {
  file_.flush();
  const int reason = errno;
  SSDQ_CHECK(file_.good(), "{}: cannot write the TensorBoard file: {}", path_,
             std::generic_category().message(reason));
}

void TensorBoardWriter::close() { file_.close(); }

}  // namespace ssdq
