#pragma once

#include <cstdint>
#include <string>

#include "ssdq/config/config.h"
#include "ssdq/export/onnx_file.h"

namespace ssdq {

struct OnnxSuppression {
  int64_t num_priors = 0;
  int64_t num_classes = 0;  // background included
  OnnxDim batch;
  TestConfig test;
};

// Adds non-maximum suppression as PostProcessor does it, for "scores" [N, P, C], probabilities,
// and "boxes" [N, P, 4], corners. Returns the name of the value [M, 7]: (image, class, score, x1,
// y1, x2, y2), rows by falling score, boxes clipped to [0, 1].
std::string add_suppression(OnnxBuilder& onnx, const std::string& scores, const std::string& boxes,
                            const OnnxSuppression& how);

}  // namespace ssdq
