#include "ssdq/data/image_reader.h"

#include <turbojpeg.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr int kMaxSide = 32768;  // px; larger headers are taken for damage

std::vector<uint8_t> read_bytes(const std::string& path) {
  SSDQ_CHECK(std::filesystem::exists(path), "{}: no such image file", path);
  SSDQ_CHECK(!std::filesystem::is_directory(path), "{}: is a directory; expected an image file", path);
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  SSDQ_CHECK(file.good(), "{}: the image file cannot be opened", path);
  std::vector<uint8_t> bytes(static_cast<size_t>(file.tellg()));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  SSDQ_CHECK(file.good(), "{}: the image file cannot be read", path);
  SSDQ_CHECK(!bytes.empty(), "{}: the image file is empty", path);
  return bytes;
}

// A decompressor for each thread: making one costs more than decoding a thumbnail.
tjhandle decompressor() {
  struct Destroy {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  thread_local const std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  SSDQ_CHECK(handle != nullptr, "libjpeg-turbo cannot make a decompressor: {}", tjGetErrorStr2(nullptr));
  return handle.get();
}

cv::Mat to_rgb8(const cv::Mat& decoded) {
  cv::Mat eight = decoded;
  if (decoded.depth() == CV_16U) {
    decoded.convertTo(eight, CV_8U, 1.0 / 257);
  } else if (decoded.depth() != CV_8U) {
    decoded.convertTo(eight, CV_8U, 255);
  }
  cv::Mat rgb;
  const int code = eight.channels() == 1   ? cv::COLOR_GRAY2RGB
                   : eight.channels() == 4 ? cv::COLOR_BGRA2RGB
                                           : cv::COLOR_BGR2RGB;
  cv::cvtColor(eight, rgb, code);
  return rgb;
}

bool is_jpeg(const std::vector<uint8_t>& bytes) {
  return bytes.size() > 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

}  // namespace

cv::Mat read_image(const std::string& path) { return EncodedImage(path).decode(1, /*fast=*/false); }

EncodedImage::EncodedImage(const std::string& path) : path_(path), bytes_(read_bytes(path)) {
  if (is_jpeg(bytes_)) {
    int subsampling = 0;
    int colorspace = 0;
    const int status = tjDecompressHeader3(decompressor(), bytes_.data(), bytes_.size(), &size_.width, &size_.height,
                                           &subsampling, &colorspace);
    jpeg_ = status == 0 && colorspace != TJCS_CMYK && colorspace != TJCS_YCCK;
    SSDQ_CHECK(status == 0 && size_.width <= kMaxSide && size_.height <= kMaxSide, "{}: broken JPEG header: {}", path,
               tjGetErrorStr2(decompressor()));
  }
  if (!jpeg_) {
    const int flags = cv::IMREAD_UNCHANGED | cv::IMREAD_IGNORE_ORIENTATION;
    try {
      decoded_ = cv::imdecode(bytes_, is_jpeg(bytes_) ? cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION : flags);
    } catch (const cv::Exception&) {
      decoded_.release();
    }
    SSDQ_CHECK(!decoded_.empty(), "{}: cannot be decoded; expected an image in a format that OpenCV knows", path);
    size_ = {decoded_.rows, decoded_.cols};
  }
}

cv::Mat EncodedImage::decode(double scale, bool fast) const {
  return jpeg_ ? decode_jpeg(scale, fast) : to_rgb8(decoded_);
}

cv::Mat EncodedImage::decode_jpeg(double scale, bool fast) const {
  int eighths = 8;
  while (eighths > 1 && (eighths - 1) / 8.0 >= scale) {
    --eighths;
  }
  const tjscalingfactor factor{eighths, 8};
  const int width = TJSCALED(size_.width, factor);
  const int height = TJSCALED(size_.height, factor);
  cv::Mat rgb(height, width, CV_8UC3);
  const int flags = fast ? TJFLAG_FASTDCT | TJFLAG_FASTUPSAMPLE : TJFLAG_ACCURATEDCT;
  const int status = tjDecompress2(decompressor(), bytes_.data(), bytes_.size(), rgb.data, width,
                                   static_cast<int>(rgb.step), height, TJPF_RGB, flags);
  SSDQ_CHECK(status == 0, "{}: corrupt or truncated JPEG: {}", path_, tjGetErrorStr2(decompressor()));
  return rgb;
}

}  // namespace ssdq
