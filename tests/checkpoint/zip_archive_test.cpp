#include "ssdq/checkpoint/zip_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/checkpoint/pickle_bytes.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

using ::testing::HasSubstr;

std::string complaint_about(const std::string& bytes) {
  return message_of<Error>([&] { list_zip(bytes); });
}

std::string patched(std::string bytes, size_t at, const std::string& by) {
  return bytes.replace(at, by.size(), by);
}

TEST(ZipArchive, TheChecksumIsThatOfZip) {
  EXPECT_EQ(zip_crc32("123456789"), 0xCBF43926U);  // the published check value
  EXPECT_EQ(zip_crc32(""), 0U);
  EXPECT_EQ(zip_crc32("456789", zip_crc32("123")), 0xCBF43926U);
}

TEST(ZipArchive, EntriesComeBackAlignedInOrder) {
  const std::string bytes = zip_of({{"b/long name", std::string(100, 'x')}, {"a", ""}, {"c", "7"}});
  const auto entries = list_zip(bytes);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "b/long name");
  EXPECT_EQ(entries[0].data, std::string(100, 'x'));
  EXPECT_EQ(entries[1].data, "");
  EXPECT_EQ(entries[2].data, "7");
  for (const auto& entry : entries) {
    EXPECT_TRUE(matches_crc(entry));
    EXPECT_EQ((entry.data.data() - bytes.data()) % 64, 0);
  }
}

TEST(ZipArchive, SixtyFourBitSizesComeBack) {
  std::string bytes;
  ZipWriter writer(
      [&](const void* data, size_t size) { bytes.append(static_cast<const char*>(data), size); },
      0);
  writer.add("a", "one");
  writer.add("b", "three");
  writer.finish();
  EXPECT_THAT(bytes, HasSubstr("PK\x06\x06"));
  const auto entries = list_zip(bytes);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[1].data, "three");
}

TEST(ZipArchive, DamageIsNamed) {
  const std::string bytes = zip_of({{"a", "one"}, {"b", "three"}});
  const size_t directory = bytes.find("PK\x01\x02");
  EXPECT_THAT(complaint_about(patched(bytes, directory + 20, "\x09")), HasSubstr("disagree"));
  EXPECT_THAT(complaint_about(patched(bytes, directory + 42, "\x09")), HasSubstr("not where"));
  EXPECT_THAT(complaint_about(patched(bytes, directory, "PQ")), HasSubstr("directory"));
  EXPECT_THAT(complaint_about(patched(bytes, bytes.size() - 12, "\x09")), HasSubstr("claims 9"));
  EXPECT_THAT(complaint_about(bytes.substr(0, 50)), HasSubstr("truncated"));
}

TEST(ZipArchive, CompressedAndEncryptedEntriesAreMarked) {
  const std::string bytes = zip_of({{"a", "one"}, {"b", "three"}});
  const size_t directory = bytes.find("PK\x01\x02");
  EXPECT_FALSE(list_zip(bytes)[0].packed);
  EXPECT_TRUE(list_zip(patched(bytes, directory + 8, "\x01"))[0].packed);
  EXPECT_TRUE(list_zip(patched(bytes, directory + 10, "\x08"))[0].packed);
  EXPECT_FALSE(list_zip(patched(bytes, directory + 10, "\x08"))[1].packed);
}

TEST(ZipArchive, OneEntryTwiceInTheDirectoryIsRefused) {
  std::string bytes = zip_of({{"a", "one"}});
  const size_t directory = bytes.find("PK\x01\x02");
  const size_t end = bytes.find("PK\x05\x06");
  const std::string record = bytes.substr(directory, end - directory);
  bytes.insert(end, record);
  const auto size = static_cast<uint32_t>(2 * record.size());
  bytes.replace(bytes.size() - 14, 2, raw(uint16_t{2}))
      .replace(bytes.size() - 12, 2, raw(uint16_t{2}));
  bytes.replace(bytes.size() - 10, 4, raw(size));
  EXPECT_THAT(complaint_about(bytes), HasSubstr("overlap"));
}

}  // namespace
}  // namespace ssdq::testing
