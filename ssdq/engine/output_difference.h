#pragma once

#include "ssdq/modeling/detector.h"

namespace ssdq {

// What two ways to compute the same outputs may differ by.
constexpr double kLargestDifference = 1e-4;

// Largest difference of raw outputs, logits and boxes each over their own largest value in `a`;
// infinity when a number is not finite.
double output_difference(const DetectorOutput& a, const DetectorOutput& b);

}  // namespace ssdq
