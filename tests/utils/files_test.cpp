#include "ssdq/utils/files.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ssdq_files_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (fs::path(folder_) / name).string(); }

  size_t entries() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  static std::string message_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }

  std::string folder_;
};

TEST_F(Files, WhatIsWrittenReadsBackWhole) {
  const std::string content("a\0b\n\xff", 5);
  write_file_atomically(path("f"), content);
  EXPECT_EQ(read_file(path("f")), content);
  write_file_atomically(path("f"), "");
  EXPECT_EQ(read_file(path("f")), "");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, FileAppearsOnlyWhenCommitted) {
  write_file_atomically(path("f"), "old");
  {
    AtomicFile file(path("f"));
    file.write("new", 3);
    EXPECT_EQ(read_file(path("f")), "old");
  }
  EXPECT_EQ(read_file(path("f")), "old");
  EXPECT_EQ(entries(), 1U);
  AtomicFile file(path("f"));
  file.write("ne", 2);
  file.write("w", 1);
  file.commit();
  EXPECT_EQ(read_file(path("f")), "new");
  EXPECT_THROW(file.write("x", 1), Error);
}

TEST_F(Files, TwoWritersOfOnePathDoNotMix) {
  AtomicFile a(path("f"));
  AtomicFile b(path("f"));
  a.write("aaaa", 4);
  b.write("b", 1);
  a.commit();
  b.commit();
  EXPECT_EQ(read_file(path("f")), "b");
  EXPECT_EQ(entries(), 1U);
}

// A file-size limit stands for a full disk: write() fails half-way with a system error.
TEST_F(Files, FailedWriteKeepsTheOldFileAndLeavesNothing) {
  write_file_atomically(path("f"), "old");
  const std::string large(100000, 'x');
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 4096;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = message_of([&] { write_file_atomically(path("f"), large); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(message, path("f") + ": cannot write the file: File too large");
  EXPECT_EQ(read_file(path("f")), "old");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, UnwritablePlacesNameThePathAndTheReason) {
  EXPECT_EQ(message_of([&] { write_file_atomically(path("no/f"), "x"); }),
            path("no/f") + ": cannot write the file: No such file or directory");
  fs::create_directory(path("folder"));
  EXPECT_EQ(message_of([&] { write_file_atomically(path("folder"), "x"); }),
            path("folder") + ": cannot replace the file: Is a directory");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, MissingFilesAndDirectoriesCannotBeRead) {
  EXPECT_EQ(message_of([&] { read_file(path("no")); }),
            path("no") + ": cannot read the file: No such file or directory");
  EXPECT_EQ(message_of([&] { read_file(folder_); }),
            folder_ + ": cannot read the file: it is a directory");
}

TEST_F(Files, DirectoriesAreMadeWithThoseAboveAndTwice) {
  make_directories(path("a/b/c"));
  make_directories(path("a/b/c"));
  make_directories("");
  EXPECT_TRUE(fs::is_directory(path("a/b/c")));
  write_file_atomically(path("f"), "x");
  EXPECT_EQ(message_of([&] { make_directories(path("f")); }),
            path("f") + ": cannot make the directory: Not a directory");
  EXPECT_EQ(message_of([&] { make_directories(path("f/g")); }),
            path("f/g") + ": cannot make the directory: Not a directory");
}

}  // namespace
}  // namespace ssdq
