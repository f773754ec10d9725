#include "ssdq/utils/tensorboard_writer.h"

#include <cstring>
#include <map>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

// A reader written from the format's description alone: bit by bit checksum, generic messages.
uint32_t slow_masked_crc(const std::string& bytes) {
  uint64_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const uint64_t low = (crc ^ static_cast<uint64_t>(byte >> bit)) & 1;
      crc = (crc / 2) ^ (low * 0x82F63B78);
    }
  }
  crc ^= 0xFFFFFFFF;
  return static_cast<uint32_t>((crc >> 15) + (crc << 17 & 0xFFFFFFFF) + 0xA282EAD8);
}

template <typename Number>
Number take(const std::string& bytes, size_t& at) {
  Number number;
  std::memcpy(&number, bytes.substr(at, sizeof number).data(), sizeof number);
  at += sizeof number;
  return number;
}

std::vector<std::string> read_records(const std::string& bytes) {
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    const std::string length_bytes = bytes.substr(at, 8);
    const auto length = take<uint64_t>(bytes, at);
    if (take<uint32_t>(bytes, at) != slow_masked_crc(length_bytes) ||
        at + length + 4 > bytes.size()) {
      throw std::runtime_error("bad length");
    }
    records.push_back(bytes.substr(at, length));
    at += length;
    if (take<uint32_t>(bytes, at) != slow_masked_crc(records.back())) {
      throw std::runtime_error("bad data");
    }
  }
  return records;
}

// Fields by number; numbers as their little-endian bytes.
using Message = std::map<int, std::string>;

uint64_t take_varint(const std::string& bytes, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes.at(at++));
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      return value;
    }
  }
}

Message parse(const std::string& bytes) {
  Message message;
  for (size_t at = 0; at < bytes.size();) {
    const uint64_t key = take_varint(bytes, at);
    size_t length = key % 8 == 1 ? 8 : key % 8 == 5 ? 4 : 0;
    if (key % 8 == 0) {
      const uint64_t value = take_varint(bytes, at);
      message[static_cast<int>(key / 8)] =
          std::string(reinterpret_cast<const char*>(&value), sizeof value);
      continue;
    }
    if (key % 8 == 2) {
      length = take_varint(bytes, at);
    }
    message[static_cast<int>(key / 8)] = bytes.substr(at, length);
    at += length;
  }
  return message;
}

template <typename Number>
Number number(const std::string& bytes) {
  size_t at = 0;
  return take<Number>(bytes, at);
}

std::vector<Message> read_events(const std::string& path) {
  std::vector<Message> events;
  for (const auto& record : read_records(read_text(path))) {
    events.push_back(parse(record));
  }
  return events;
}

TEST(Crc32c, EqualsTheVectorsOfRfc3720) {
  std::string rising(32, '\0');
  for (size_t i = 0; i < rising.size(); ++i) {
    rising[i] = static_cast<char>(i);
  }
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(rising), 0x46DD794EU);
}

TEST(TensorBoardWriter, TheFileStartsWithItsVersion) {
  const TempFolder folder;
  const TensorBoardWriter writer(folder.path(), 0);
  EXPECT_THAT(writer.path(), ::testing::HasSubstr("/events.out.tfevents."));
  const auto events = read_events(writer.path());
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].at(3), "brain.Event:2");
  EXPECT_GT(number<double>(events[0].at(1)), 1.7e9);
}

TEST(TensorBoardWriter, ScalarsAreInTheFileAfterEachWriteOnce) {
  const TempFolder folder;
  TensorBoardWriter writer(folder.path(), 0);
  EventStorage storage;
  storage.set_iteration(300);
  storage.put("loss", 0.75);
  writer.write(storage);
  writer.write(storage);
  const auto events = read_events(writer.path());
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(number<int64_t>(events[1].at(2)), 300);
  const auto value = parse(parse(events[1].at(5)).at(1));
  EXPECT_EQ(value.at(1), "loss");
  EXPECT_EQ(number<float>(value.at(2)), 0.75F);
}

TEST(TensorBoardWriter, PicturesKeepTheirBytesSizeAndCaption) {
  const TempFolder folder;
  TensorBoardWriter writer(folder.path(), 0);
  EventStorage storage;
  storage.set_iteration(7);
  const std::string png = "\x89PNG" + std::string(1000, '\0');
  storage.put_image("test/0", png, 640, 480, "three cells");
  writer.write(storage);
  const auto events = read_events(writer.path());
  ASSERT_EQ(events.size(), 2U);
  const auto value = parse(parse(events[1].at(5)).at(1));
  const auto image = parse(value.at(4));
  EXPECT_EQ(value.at(1), "test/0");
  EXPECT_EQ(number<int64_t>(image.at(1)), 480);
  EXPECT_EQ(number<int64_t>(image.at(2)), 640);
  EXPECT_EQ(number<int64_t>(image.at(3)), 3);
  EXPECT_EQ(image.at(4), png);
  EXPECT_EQ(parse(value.at(9)).at(3), "three cells");
}

TEST(TensorBoardWriter, AResumedRunAsksToForgetLaterSteps) {
  const TempFolder folder;
  const TensorBoardWriter first(folder.path(), 0);
  const TensorBoardWriter writer(folder.path(), 1000);
  EXPECT_NE(first.path(), writer.path());
  const auto events = read_events(writer.path());
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(number<int64_t>(events[1].at(2)), 1000);
  EXPECT_EQ(number<int64_t>(parse(events[1].at(7)).at(1)), 1);
}

TEST(TensorBoardWriter, AFullDiskIsOneSentence) {
  const TempFolder folder;
  TensorBoardWriter writer(folder.path(), 0);
  EventStorage storage;
  storage.put_image("big", std::string(100000, 'x'), 1, 1);
  const FileSizeLimit limit(1000);
  EXPECT_EQ(message_of<Error>([&] { writer.write(storage); }),
            writer.path() + ": cannot write the TensorBoard file: File too large");
}

TEST(TensorBoardWriter, AFolderThatIsAFileIsOneSentence) {
  const TempFolder folder;
  write_text(folder / "file", "");
  EXPECT_THAT(message_of<Error>([&] { const TensorBoardWriter writer(folder / "file", 0); }),
              ::testing::EndsWith(": cannot create the TensorBoard file: Not a directory"));
}

}  // namespace
}  // namespace ssdq::testing
