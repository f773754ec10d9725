#include "ssdq/utils/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::string reason(int code) { return std::generic_category().message(code); }

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

// Several processes may write the same path, and a killed one may have left its file behind.
std::pair<int, std::string> open_temporary(const std::string& path) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    std::string name = fmt::format("{}.tmp-{}-{}", path, ::getpid(), i);
    const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return {descriptor, std::move(name)};
    if (errno != EEXIST) break;
  }
  return {-1, {}};
}

// Makes the rename itself survive a power cut. Some file systems cannot sync a directory; the file
// is in place all the same.
void sync_directory_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor directory(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail("{}: cannot read the file: {}", path, reason(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) == 0 && S_ISDIR(status.st_mode)) {
    fail("{}: cannot read the file: it is a directory", path);
  }
  std::string content;
  content.reserve(static_cast<size_t>(std::max<off_t>(status.st_size, 0)));
  std::array<char, 1 << 16> buffer{};
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size == 0) return content;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail("{}: cannot read the file: {}", path, reason(errno));
    content.append(buffer.data(), static_cast<size_t>(size));
  }
}

void make_directories(const std::string& path) {
  if (path.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && !std::filesystem::is_directory(path, error) && !error) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (error) fail("{}: cannot make the directory: {}", path, error.message());
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  std::tie(descriptor_, temporary_) = open_temporary(path_);
  if (descriptor_ < 0) fail("{}: cannot write the file: {}", path_, reason(errno));
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(const void* data, size_t size) {
  SSDQ_CHECK(descriptor_ >= 0, "{}: written after it was closed", path_);
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_and_discard("write", errno);
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  SSDQ_CHECK(descriptor_ >= 0, "{}: committed after it was closed", path_);
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail_and_discard("write", errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_and_discard("write", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_and_discard("replace", errno);
  temporary_.clear();
  sync_directory_of(path_);
}

void AtomicFile::discard() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::fail_and_discard(const char* action, int code) {
  discard();
  fail("{}: cannot {} the file: {}", path_, action, reason(code));
}

void write_file_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content.data(), content.size());
  file.commit();
}

}  // namespace ssdq
