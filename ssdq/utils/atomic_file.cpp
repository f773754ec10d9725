#include "ssdq/utils/atomic_file.h"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Makes a rename survive a power cut. File systems that cannot sync a folder say EINVAL, which
// costs nothing but that guarantee.
void sync_folder(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const int folder =
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp") {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    fail_with_errno("create");
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!committed_) {
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, at, bytes);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail_with_errno("write");
    }
    at += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  // EINVAL: a file system without fsync, where there is nothing to wait for.
  if (::fsync(descriptor_) != 0 && errno != EINVAL) {
    fail_with_errno("write");
  }
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    fail_with_errno("write");
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_with_errno("write");
  }
  committed_ = true;
  sync_folder(path_);
}

void AtomicFile::fail_with_errno(const char* action) const {
  const std::string reason = std::generic_category().message(errno);
  fail("{}: cannot {} the file: {}", path_, action, reason);
}

void write_file_atomically(const std::string& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

}  // namespace ssdq
