#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/structures/size.h"

namespace ssdq {

// Decodes an image of any format that OpenCV knows to 8-bit interleaved RGB: 16 bits are scaled to 8, grey is
// repeated, alpha is dropped, the orientation tag is ignored because annotations refer to the
// stored pixels. Throws Error naming the file when it is missing, a directory, or cannot be decoded
// to its end.
cv::Mat read_image(const std::string& path);

// An image file in memory that is decoded no larger than needed.
class EncodedImage {
 public:
  // Reads the file. Throws Error when that fails or its header is broken.
  explicit EncodedImage(const std::string& path);

  Size2 size() const { return size_; }  // pixels as stored

  // RGB at the smallest size that is at least `scale` (0, 1] times the stored one: JPEGs are decoded at n/8
  // by their own DCT, other formats at full size. `fast`: decoding with the quicker DCT and chroma
  // upsampling, off by at most a few grey levels; for training. Throws Error.
  cv::Mat decode(double scale, bool fast) const;

 private:
  cv::Mat decode_jpeg(double scale, bool fast) const;

  std::string path_;
  std::vector<uint8_t> bytes_;
  Size2 size_;
  bool jpeg_ = false;
  cv::Mat decoded_;  // formats whose size only decoding tells
};

}  // namespace ssdq
