#pragma once

namespace ssdq {

constexpr int kFloatBits = 32;  // the code width that means no quantization

}  // namespace ssdq
