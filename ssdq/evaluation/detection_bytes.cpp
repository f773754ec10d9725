#include "ssdq/evaluation/detection_bytes.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

static_assert(std::is_trivially_copyable_v<Detection>);

template <typename T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

class Reader {
 public:
  explicit Reader(const std::string& bytes) : bytes_(bytes) {}

  bool at_end() const { return at_ == bytes_.size(); }
  size_t left() const { return bytes_.size() - at_; }

  template <typename T>
  T next() {
    SSDQ_CHECK(left() >= sizeof(T),
               "detections of another rank end after {} bytes, in the middle of a number",
               bytes_.size());
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

 private:
  const std::string& bytes_;
  size_t at_ = 0;
};

}  // namespace

std::string to_bytes(const std::vector<IndexedDetections>& images) {
  std::string bytes;
  for (const IndexedDetections& image : images) {
    append(bytes, image.index);
    append(bytes, static_cast<uint64_t>(image.detections.size()));
    for (const Detection& detection : image.detections) {
      append(bytes, detection);
    }
  }
  return bytes;
}

std::vector<IndexedDetections> detections_from_bytes(const std::string& bytes) {
  std::vector<IndexedDetections> images;
  Reader reader(bytes);
  while (!reader.at_end()) {
    IndexedDetections& image = images.emplace_back();
    image.index = reader.next<int64_t>();
    const auto count = reader.next<uint64_t>();
    SSDQ_CHECK(count <= reader.left() / sizeof(Detection),
               "detections of another rank end after {} bytes, before those of image {}",
               bytes.size(), image.index);
    for (uint64_t i = 0; i < count; ++i) {
      image.detections.push_back(reader.next<Detection>());
    }
  }
  return images;
}

std::vector<IndexedDetections> merge_detections(
    const std::vector<std::vector<IndexedDetections>>& parts, int64_t size) {
  std::vector<IndexedDetections> all;
  for (const auto& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  std::sort(all.begin(), all.end(), [](const IndexedDetections& a, const IndexedDetections& b) {
    return a.index < b.index;
  });
  for (size_t i = 0; i < all.size(); ++i) {
    SSDQ_CHECK(all[i].index == static_cast<int64_t>(i),
               "the ranks' evaluations {} image {} of {}; each is to be there once",
               all[i].index < static_cast<int64_t>(i) ? "repeat" : "lack",
               std::min(all[i].index, static_cast<int64_t>(i)), size);
  }
  SSDQ_CHECK(static_cast<int64_t>(all.size()) == size,
             "the ranks' evaluations hold {} images, expected {}", all.size(), size);
  return all;
}

}  // namespace ssdq
