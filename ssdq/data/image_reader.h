#pragma once

#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/structures/size.h"

namespace ssdq {

// An image file of any format OpenCV reads, decoded to 8-bit RGB: 16-bit values are divided by 257,
// grey is repeated, alpha is dropped. EXIF orientation is ignored: annotations speak of the stored
// pixels. Missing, unreadable, truncated or foreign files throw Error that names the file.
class ImageFile {
 public:
  // Reads the file; of a JPEG only the header is decoded, others are decoded here.
  explicit ImageFile(const std::string& path);

  Size2 size() const { return size_; }

  // The whole image, with the accurate inverse DCT and upsampling.
  cv::Mat decode() const;

  // As decode(), but a JPEG is reduced to about eighths/8 of its sides (8, 4, 2 or 1; fractions
  // round up) and takes libjpeg-turbo's faster DCT and upsampling, a few grey levels off. Other
  // formats keep their size.
  cv::Mat decode_fast(int eighths) const;

 private:
  cv::Mat decode_jpeg(int eighths, int flags) const;

  std::string path_;
  std::vector<unsigned char> bytes_;
  cv::Mat decoded_;  // empty for a JPEG
  Size2 size_;
};

// The whole image as ImageFile::decode() gives it.
cv::Mat read_image(const std::string& path);

}  // namespace ssdq
