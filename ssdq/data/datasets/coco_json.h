#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ssdq {

// The parts of a COCO instances file that a detector needs. Fields that were missing, or not of the
// expected type, are empty.
struct CocoImage {
  std::optional<int64_t> id;
  std::string file_name;
  int width = 0;
  int height = 0;
};

struct CocoAnnotation {
  std::optional<int64_t> id;
  std::optional<int64_t> image_id;
  std::optional<int64_t> category_id;
  std::array<double, 4> bbox{};  // x, y, width, height
  int bbox_size = 0;             // numbers that bbox had in the file
  double area = -1;
  bool crowd = false;
};

struct CocoCategory {
  std::optional<int64_t> id;
  std::string name;
};

struct CocoFile {
  std::vector<CocoImage> images;
  std::vector<CocoAnnotation> annotations;
  std::vector<CocoCategory> categories;
};

// Reads the file as a stream of events, so that the outlines, most of its bytes, are never held as
// values. Throws Error with file:line when it is not JSON or has no images, annotations or
// categories.
CocoFile read_coco_json(const std::filesystem::path& path);

}  // namespace ssdq
