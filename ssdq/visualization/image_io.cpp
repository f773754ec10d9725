#include "ssdq/visualization/image_io.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

#include <unistd.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

// An empty string when the file was written, else why not.
std::string try_write(const std::string& path, const cv::Mat& bgr) {
  try {
    return cv::imwrite(path, bgr, {cv::IMWRITE_JPEG_QUALITY, 92}) ? "" : "is the folder writable?";
  } catch (const cv::Exception& error) {
    return error.err;
  }
}

cv::Mat to_bgr(const std::string& name, const cv::Mat& rgb) {
  SSDQ_CHECK(!rgb.empty() && rgb.type() == CV_8UC3,
             "{}: expected an 8-bit image of 3 channels to write", name);
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  return bgr;
}

}  // namespace

void write_image(const std::string& path, const cv::Mat& rgb) {
  const std::string extension = lower_extension(path);
  SSDQ_CHECK(extension == ".png" || extension == ".jpg" || extension == ".jpeg",
             "{}: images are written as .png, .jpg or .jpeg, not '{}'", path, extension);
  const cv::Mat bgr = to_bgr(path, rgb);
  const std::string part = fmt::format("{}.part{}{}", path, ::getpid(), extension);
  const std::string reason = try_write(part, bgr);
  std::error_code error;
  if (!reason.empty()) {
    std::filesystem::remove(part, error);
    fail("{}: the image cannot be written: {}", path, reason);
  }
  std::filesystem::rename(part, path, error);
  SSDQ_CHECK(!error, "{}: the image cannot be written: {}", path, error.message());
}

std::string encode_png(const cv::Mat& rgb) {
  std::vector<uchar> bytes;
  cv::imencode(".png", to_bgr("PNG", rgb), bytes);
  return {bytes.begin(), bytes.end()};
}

}  // namespace ssdq
