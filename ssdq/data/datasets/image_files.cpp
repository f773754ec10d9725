#include "ssdq/data/datasets/image_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <fstream>

#include <opencv2/imgcodecs.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

constexpr std::array kExtensions = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"};

int big_endian(const std::array<unsigned char, 8>& bytes, int first, int count) {
  std::uint32_t value = 0;
  for (int i = first; i < first + count; ++i) {
    value = value << 8U | bytes[static_cast<std::size_t>(i)];
  }
  return value > INT32_MAX ? 0 : static_cast<int>(value);
}

bool read_bytes(std::ifstream& file, std::array<unsigned char, 8>& bytes, int count) {
  file.read(reinterpret_cast<char*>(bytes.data()), count);
  return file.good();
}

// Walks the markers of a JPEG, behind its first one, to the frame header.
std::optional<Size2> jpeg_size(std::ifstream& file) {
  constexpr int kTableMarkers[] = {0xC4, 0xC8, 0xCC};
  std::array<unsigned char, 8> bytes{};
  while (read_bytes(file, bytes, 2) && bytes[0] == 0xFF) {
    int marker = bytes[1];
    while (marker == 0xFF && read_bytes(file, bytes, 1)) {
      marker = bytes[0];
    }
    if (!read_bytes(file, bytes, 2)) {
      break;
    }
    const int length = big_endian(bytes, 0, 2);
    const bool is_table = std::find(std::begin(kTableMarkers), std::end(kTableMarkers), marker) !=
                          std::end(kTableMarkers);
    if (marker >= 0xC0 && marker <= 0xCF && !is_table) {
      if (!read_bytes(file, bytes, 5)) {
        break;
      }
      return Size2{big_endian(bytes, 1, 2), big_endian(bytes, 3, 2)};
    }
    file.seekg(length - 2, std::ios::cur);
  }
  return std::nullopt;
}

std::optional<Size2> png_size(std::ifstream& file) {
  constexpr int kIhdrOffset = 16;
  std::array<unsigned char, 8> bytes{};
  file.seekg(kIhdrOffset);
  if (!read_bytes(file, bytes, 8)) {
    return std::nullopt;
  }
  return Size2{big_endian(bytes, 4, 4), big_endian(bytes, 0, 4)};
}

std::optional<Size2> decoded_size(const fs::path& path) {
  try {
    const cv::Mat image =
        cv::imread(path.string(), cv::IMREAD_UNCHANGED | cv::IMREAD_IGNORE_ORIENTATION);
    if (!image.empty()) {
      return Size2{image.rows, image.cols};
    }
  } catch (const cv::Exception&) {
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

bool is_image_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

ImageFiles::ImageFiles(fs::path folder, const std::string& what) : folder_(std::move(folder)) {
  std::error_code code;
  SSDQ_CHECK_CONFIG(fs::is_directory(folder_, code), "{}: there is no image folder {}", what,
                    folder_.string());
  const fs::directory_iterator entries(folder_, code);
  SSDQ_CHECK_CONFIG(!code, "{}: the image folder {} cannot be listed: {}", what, folder_.string(),
                    code.message());
  for (const fs::directory_entry& entry : entries) {
    const fs::path file = entry.path().filename();
    if (is_image_extension(file)) {
      files_.insert_or_assign(file.string(), file.string());
      const auto [found, is_new] = files_.try_emplace(file.stem().string(), file.string());
      // Two extensions of one name: the choice must not depend on the order of the directory.
      if (!is_new && found->second != found->first) {
        found->second = std::min(found->second, file.string());
      }
    }
  }
}

std::optional<fs::path> ImageFiles::find(const std::string& name) const {
  const auto found = files_.find(name);
  if (found != files_.end()) {
    return folder_ / found->second;
  }
  std::error_code code;
  if (fs::path(name).has_parent_path()) {
    if (is_image_extension(name)) {
      return fs::exists(folder_ / name, code) ? std::optional(folder_ / name) : std::nullopt;
    }
    for (const char* extension : kExtensions) {
      fs::path path = folder_ / (name + extension);
      if (fs::exists(path, code)) {
        return path;
      }
    }
  }
  return std::nullopt;
}

std::optional<Size2> read_image_size(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<unsigned char, 8> bytes{};
  if (!read_bytes(file, bytes, 2)) {
    return std::nullopt;
  }
  std::optional<Size2> size;
  if (bytes[0] == 0xFF && bytes[1] == 0xD8) {
    size = jpeg_size(file);
  } else if (bytes[0] == 0x89 && bytes[1] == 'P') {
    size = png_size(file);
  } else {
    size = decoded_size(path);
  }
  return size && size->width > 0 && size->height > 0 ? size : std::nullopt;
}

}  // namespace ssdq
