#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ssdq/structures/object.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// What training does with an annotated box that is wrong.
enum class BoxPolicy {
  kClip,   // clips what reaches out of the image, drops what has no area
  kDrop,   // drops every wrong box
  kError,  // throws Error on the first wrong box
};

// Reads clip, drop or error; throws ConfigError for anything else.
BoxPolicy parse_box_policy(const std::string& text);

enum class BoxFault {
  kNotFinite,
  kReversed,  // x1 > x2 or y1 > y2
  kNoArea,    // a side shorter than kLeastSidePx
  kOutside,   // nothing, or less than kLeastSidePx, of it inside the image
  kPartlyOutside,
};

// Shorter sides make the logarithm in the box coding explode and cannot be seen anyway.
inline constexpr float kLeastSidePx = 0.01F;

// Boxes may reach out of the image by this much under every policy: they are clipped in silence.
// VOC files written with 0-based pixels do so.
inline constexpr float kOutsideTolerancePx = 1.0F;

// The worst fault of a box in an image of `image_size` px, if any. A size of 0 is unknown: then
// only the box itself is judged.
std::optional<BoxFault> find_box_fault(const Box& box, Size2 image_size);

// "has no area" and the like, to follow "box (...) ".
std::string describe(BoxFault fault);

struct BoxIssue {
  int object = 0;  // its number in the record, from 1
  BoxFault fault = BoxFault::kNoArea;
  Box box;
};

struct SanitizedObjects {
  std::vector<Object> objects;   // all with sides of at least kLeastSidePx, inside the image
  std::vector<BoxIssue> issues;  // what was clipped or dropped
};

// Applies `policy` to the objects of `record`, whose image has `image_size` px (0: unknown).
// `num_classes` counts the background as MODEL.NUM_CLASSES does: a label outside 1..num_classes - 1
// throws Error under every policy.
SanitizedObjects sanitize(const Record& record, Size2 image_size, BoxPolicy policy,
                          int num_classes);

}  // namespace ssdq
