#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/structures/box.h"

namespace ssdq {

// One annotated object. `label` is 1..C: 0 is the background and never annotated.
struct Object {
  Box box;  // pixels of the original image
  int label = 0;
  bool difficult = false;  // VOC: neither counted nor a miss
  bool crowd = false;      // COCO: a region holding many objects
  double area = -1;        // COCO: area in square pixels, -1 when the format has none
};

// What a data set knows about one image without decoding it.
struct Record {
  std::string image_id;    // unique in its data set; the VOC stem, the COCO id in decimal
  std::string image_path;  // file to decode
  int width = 0;           // pixels; 0 when the annotation does not say
  int height = 0;
  std::vector<Object> objects;
};

}  // namespace ssdq
