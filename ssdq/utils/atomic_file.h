#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ssdq {

// Replaces a file as a whole: readers see the old contents or the new ones, never a part, also
// after a crash or a power cut. Data goes to "<path>.tmp"; commit() moves it into place. Without
// commit() (an exception, a full disk) the temporary is removed and the old file is untouched.
// Every failure throws Error with the path and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  [[noreturn]] void fail_with_errno(const char* action) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

// AtomicFile in one call.
void write_file_atomically(const std::string& path, std::string_view contents);

}  // namespace ssdq
