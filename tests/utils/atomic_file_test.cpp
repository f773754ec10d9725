#include "ssdq/utils/atomic_file.h"

#include <filesystem>
#include <stdexcept>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

TEST(AtomicFile, ReplacesTheFileOnlyAtCommit) {
  const TempFolder folder;
  write_text(folder / "a", "old");
  AtomicFile file(folder / "a");
  file.write("new ");
  file.write("text");
  EXPECT_EQ(read_text(folder / "a"), "old");
  file.commit();
  EXPECT_EQ(read_text(folder / "a"), "new text");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.tmp"));
}

TEST(AtomicFile, AnExceptionLeavesTheOldFileAndNoTemporary) {
  const TempFolder folder;
  write_text(folder / "a", "old");
  try {
    AtomicFile file(folder / "a");
    file.write("half");
    throw std::runtime_error("stop");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(read_text(folder / "a"), "old");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.tmp"));
}

TEST(AtomicFile, AFullDiskIsOneSentenceAndTheOldFileStays) {
  const TempFolder folder;
  write_text(folder / "a", "old");
  std::string message;
  {
    const FileSizeLimit limit(1000);
    message =
        message_of<Error>([&] { write_file_atomically(folder / "a", std::string(5000, 'x')); });
  }
  EXPECT_EQ(message, folder / "a" + ": cannot write the file: File too large");
  EXPECT_EQ(read_text(folder / "a"), "old");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.tmp"));
}

TEST(AtomicFile, AFolderThatIsAFileIsOneSentence) {
  const TempFolder folder;
  write_text(folder / "a", "");
  EXPECT_EQ(message_of<Error>([&] { write_file_atomically(folder / "a/b", "x"); }),
            folder / "a/b: cannot create the file: Not a directory");
}

}  // namespace
}  // namespace ssdq::testing
