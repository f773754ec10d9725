#pragma once

#include <cstdint>
#include <string>

namespace ssdq {

// A regular file that is read by place. Not mapped into memory: a file that shrinks under the
// mapping would end the program. Failures throw Error that starts with the path.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  uint64_t size() const { return size_; }

  void read(void* to, uint64_t bytes, uint64_t offset) const;

 private:
  [[noreturn]] void fail_with_errno() const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace ssdq
