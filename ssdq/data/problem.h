#pragma once

#include <functional>
#include <string>

namespace ssdq {

// What can be wrong with an image or its annotation.
enum class ProblemKind {
  kBadAnnotation,      // cannot be read: malformed xml, missing number, malformed label line
  kMissingAnnotation,  // the split names an image that has no annotation file
  kOrphanAnnotation,   // annotates an image that the data set does not list
  kUnknownClass,
  kMissingImage,
  kBrokenImage,      // cannot be decoded to its end
  kSizeMismatch,     // the image has another size than its annotation says
  kDegenerateBox,    // zero or negative width or height, or not finite
  kOutsideBox,       // reaches out of the image by more than kOutsideTolerancePx
  kDuplicateObject,  // same label and box twice in an image
  kDuplicateImage,   // same image listed twice
  kEmptyImage,       // no object: allowed, reported as a note
};

// One finding. `message` is a whole sentence that names the file.
struct Problem {
  ProblemKind kind = ProblemKind::kBadAnnotation;
  std::string image_id;
  std::string message;
};

using ProblemSink = std::function<void(const Problem&)>;

}  // namespace ssdq
