#include "ssdq/checkpoint/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "ssdq/utils/error.h"

namespace ssdq {

InputFile::InputFile(const std::string& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) {
    fail_with_errno();
  }
  struct stat info {};
  const bool known = ::fstat(descriptor_, &info) == 0;
  const bool regular = known && S_ISREG(info.st_mode);
  if (!regular) {
    ::close(descriptor_);
    fail("{}: cannot read the checkpoint: it is {}", path,
         known && S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(void* to, uint64_t bytes, uint64_t offset) const {
  char* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t count = ::pread(descriptor_, at, bytes, static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR) {
      fail_with_errno();
    }
    SSDQ_CHECK(count != 0, "{}: the file shrank while it was read", path_);
    const auto advance = static_cast<uint64_t>(std::max<ssize_t>(count, 0));
    at += advance;
    offset += advance;
    bytes -= advance;
  }
}

void InputFile::fail_with_errno() const {
  const std::string reason = std::generic_category().message(errno);
  fail("{}: cannot read the checkpoint: {}", path_, reason);
}

}  // namespace ssdq
