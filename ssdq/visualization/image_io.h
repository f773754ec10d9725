#pragma once

#include <string>

#include <opencv2/core.hpp>

namespace ssdq {

// Writes an 8-bit RGB image as PNG or JPEG, as the ending of `path` says. The file appears whole or
// not at all. Throws Error when it cannot be written or the ending is another one.
void write_image(const std::string& path, const cv::Mat& rgb);

// The bytes of an 8-bit RGB image as a PNG file. Throws Error for another type or an empty image.
std::string encode_png(const cv::Mat& rgb);

}  // namespace ssdq
