#pragma once

#include <vector>

#include <opencv2/core.hpp>

namespace ssdq {

// Pictures of one size (8-bit RGB) row by row in a grid about as many wide as high; white where
// there is none. Throws Error without pictures or when they differ in size or type.
cv::Mat picture_grid(const std::vector<cv::Mat>& pictures);

}  // namespace ssdq
