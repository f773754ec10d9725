#include "ssdq/visualization/picture_grid.h"

#include <cmath>

#include "ssdq/utils/error.h"

namespace ssdq {

cv::Mat picture_grid(const std::vector<cv::Mat>& pictures) {
  SSDQ_CHECK(!pictures.empty(), "picture grid: there are no pictures");
  const cv::Size size = pictures.front().size();
  const auto count = static_cast<int>(pictures.size());
  const int columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(count))));
  const int rows = (count + columns - 1) / columns;
  cv::Mat grid(rows * size.height, columns * size.width, CV_8UC3, cv::Scalar::all(255));
  for (int i = 0; i < count; ++i) {
    SSDQ_CHECK(pictures[i].size() == size && pictures[i].type() == CV_8UC3,
               "picture grid: picture {} is {} x {} of type {}; expected {} x {} of 8-bit RGB", i,
               pictures[i].cols, pictures[i].rows, pictures[i].type(), size.width, size.height);
    const cv::Point corner(i % columns * size.width, i / columns * size.height);
    pictures[i].copyTo(grid(cv::Rect(corner, size)));
  }
  return grid;
}

}  // namespace ssdq
