#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ssdq {

// The whole file. Throws Error that says the path and why (missing, a directory, no permission).
std::string read_file(const std::string& path);

// Creates the directory and those above it; no error if it is there. Throws Error.
void make_directories(const std::string& path);

// A file that appears under its name complete or not at all: bytes go to a temporary file beside
// `path`, commit() syncs it to the disk and renames it. Destroyed before commit(), it leaves
// nothing and an earlier file of that name stays as it was.
class AtomicFile {
 public:
  // Throws Error if the temporary file cannot be made.
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throws Error with the system's reason (disk full, quota); the temporary file is gone then.
  void write(const void* data, size_t size);

  // Throws Error as write() does. Nothing may be written after.
  void commit();

 private:
  void discard() noexcept;
  [[noreturn]] void fail_and_discard(const char* action, int code);

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

// AtomicFile in one call.
void write_file_atomically(const std::string& path, std::string_view content);

}  // namespace ssdq
