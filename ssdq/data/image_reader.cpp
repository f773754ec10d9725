#include "ssdq/data/image_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include <turbojpeg.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

struct DestroyTurbo {
  void operator()(void* handle) const { tjDestroy(handle); }
};

tjhandle turbo() {
  thread_local const std::unique_ptr<void, DestroyTurbo> handle(tjInitDecompress());
  SSDQ_CHECK(handle != nullptr, "cannot start the JPEG decoder: {}", tjGetErrorStr2(nullptr));
  return handle.get();
}

std::vector<unsigned char> read_bytes(const std::string& path) {
  std::error_code ignored;
  SSDQ_CHECK(!std::filesystem::is_directory(path, ignored),
             "{}: is a folder, expected an image file", path);
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  SSDQ_CHECK(file, "{}: cannot open the image: {}", path, std::strerror(errno));
  std::vector<unsigned char> bytes(static_cast<size_t>(std::max<std::streamoff>(0, file.tellg())));
  SSDQ_CHECK(!bytes.empty(), "{}: the image file is empty", path);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  SSDQ_CHECK(file, "{}: cannot read the image: {}", path, std::strerror(errno));
  return bytes;
}

cv::Mat decode_any(const std::string& path, const std::vector<unsigned char>& bytes) {
  cv::Mat stored;
  try {
    stored = cv::imdecode(bytes, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception& error) {
    fail("{}: cannot decode the image: {}", path, error.what());
  }
  SSDQ_CHECK(!stored.empty(),
             "{}: cannot decode the image: it is truncated, damaged or of an unknown format", path);
  if (stored.depth() == CV_16U) {
    stored.convertTo(stored, CV_8U, 1.0 / 257);
  }
  SSDQ_CHECK(stored.depth() == CV_8U, "{}: holds pixels that are neither 8 nor 16 bits; convert it",
             path);
  const int channels = stored.channels();
  SSDQ_CHECK(channels == 1 || channels == 3 || channels == 4,
             "{}: has {} channels, expected 1, 3 or 4", path, channels);
  cv::Mat rgb;
  cv::cvtColor(stored, rgb,
               channels == 1 ? cv::COLOR_GRAY2RGB
                             : (channels == 3 ? cv::COLOR_BGR2RGB : cv::COLOR_BGRA2RGB));
  return rgb;
}

bool is_jpeg(const std::vector<unsigned char>& bytes) {
  return bytes.size() > 2 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

}  // namespace

ImageFile::ImageFile(const std::string& path) : path_(path), bytes_(read_bytes(path)) {
  if (is_jpeg(bytes_)) {
    int subsampling = 0;
    int colorspace = 0;
    const int status = tjDecompressHeader3(turbo(), bytes_.data(), bytes_.size(), &size_.width,
                                           &size_.height, &subsampling, &colorspace);
    SSDQ_CHECK(status == 0 || tjGetErrorCode(turbo()) == TJERR_WARNING,
               "{}: cannot decode the JPEG: {}", path_, tjGetErrorStr2(turbo()));
    if (colorspace != TJCS_CMYK && colorspace != TJCS_YCCK) {
      return;
    }
  }
  decoded_ = decode_any(path_, bytes_);
  size_ = {decoded_.rows, decoded_.cols};
  bytes_.clear();
}

cv::Mat ImageFile::decode_jpeg(int eighths, int flags) const {
  const tjscalingfactor scale{eighths, 8};
  cv::Mat image(TJSCALED(size_.height, scale), TJSCALED(size_.width, scale), CV_8UC3);
  const int status = tjDecompress2(turbo(), bytes_.data(), bytes_.size(), image.data, image.cols,
                                   static_cast<int>(image.step[0]), image.rows, TJPF_RGB, flags);
  if (status != 0) {
    const std::string problem = tjGetErrorStr2(turbo());
    const bool harmless =
        tjGetErrorCode(turbo()) == TJERR_WARNING && problem.find("extraneous") != std::string::npos;
    SSDQ_CHECK(harmless, "{}: the JPEG is truncated or damaged: {}", path_, problem);
  }
  return image;
}

cv::Mat ImageFile::decode() const { return decoded_.empty() ? decode_jpeg(8, 0) : decoded_; }

cv::Mat ImageFile::decode_fast(int eighths) const {
  return decoded_.empty() ? decode_jpeg(eighths, TJFLAG_FASTDCT | TJFLAG_FASTUPSAMPLE) : decoded_;
}

cv::Mat read_image(const std::string& path) { return ImageFile(path).decode(); }

}  // namespace ssdq
