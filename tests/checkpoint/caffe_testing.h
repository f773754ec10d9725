#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "ssdq/export/protobuf_writer.h"

namespace ssdq::testing {

// The bytes of .caffemodel files, by the field numbers of caffe.proto.
struct CaffeBlob {
  std::vector<int64_t> shape;
  std::vector<float> values{};  // empty: 1, 2, 3, ... as many as the shape has
};

inline std::vector<float> values_of(const CaffeBlob& blob) {
  if (!blob.values.empty()) {
    return blob.values;
  }
  int64_t count = 1;
  for (const int64_t side : blob.shape) {
    count *= side;
  }
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

struct CaffeLayer {
  std::string name, type;
  std::vector<CaffeBlob> blobs;
};

inline std::string caffemodel(const std::vector<CaffeLayer>& layers) {
  ProtobufWriter net;
  net.bytes(1, "test");
  for (const auto& layer : layers) {
    ProtobufWriter message;
    message.bytes(1, layer.name);
    message.bytes(2, layer.type);
    for (const auto& blob : layer.blobs) {
      ProtobufWriter shape, values;
      for (const int64_t side : blob.shape) {
        shape.integer(1, side);
      }
      values.message(7, shape);
      for (const float value : values_of(blob)) {
        values.real(5, value);
      }
      message.message(7, values);
    }
    net.message(100, message);
  }
  return net.take();
}

// The form of 2014: field 2, blobs of four sides, types as numbers (4: convolution).
inline std::string old_caffemodel(const std::string& name, const std::vector<CaffeBlob>& blobs) {
  ProtobufWriter net, message;
  message.bytes(4, name);
  message.integer(5, 4);
  for (const auto& blob : blobs) {
    ProtobufWriter values;
    for (size_t i = 0; i < 4; ++i) {
      values.integer(static_cast<int>(i) + 1, blob.shape[i]);
    }
    for (const float value : values_of(blob)) {
      values.real(5, value);
    }
    message.message(6, values);
  }
  net.message(2, message);
  return net.take();
}

}  // namespace ssdq::testing
