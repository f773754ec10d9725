#pragma once

#include <vector>

#include "ssdq/kernels/kernels.h"
#include "ssdq/quantization/fake_quantize.h"

namespace ssdq {

// The kernels' view of a code, a row for each of its steps.
std::vector<AffineRow> affine_rows(const AffineCode& code);

}  // namespace ssdq
