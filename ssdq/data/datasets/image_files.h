#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>

#include "ssdq/structures/size.h"

namespace ssdq {

// The image files of a folder, listed once: asking a network disk about each of 100,000 files is
// slow. Files in folders below it are found too, by asking the disk.
class ImageFiles {
 public:
  // Throws ConfigError when `folder` is not a directory; `what` says whose it is.
  ImageFiles(std::filesystem::path folder, const std::string& what);

  // Path of `name` ("000001.jpg", "train/000001.jpg"), or of the file with an image extension whose
  // name without it is `name`. Empty when there is none.
  std::optional<std::filesystem::path> find(const std::string& name) const;

 private:
  std::filesystem::path folder_;
  std::unordered_map<std::string, std::string> files_;  // file name and bare stem -> file name
};

// Whether OpenCV may read a file of this extension.
bool is_image_extension(const std::filesystem::path& path);

// Pixels of the image as stored (an EXIF rotation is not applied), from the header where the file
// is a JPEG or a PNG. Empty when it is not a readable image.
std::optional<Size2> read_image_size(const std::filesystem::path& path);

}  // namespace ssdq
