#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/data/dataset.h"

namespace ssdq {

// The 20 classes of PASCAL VOC in label order.
const std::vector<std::string>& voc_class_names();

// Opens ROOT/{Annotations, ImageSets/Main/SPLIT.txt, JPEGImages}. `definition.classes` are the
// class names in label order; the 20 of VOC when empty.
//
// Boxes are the numbers of the xml minus 1, all four of them: x1 and y1 are the left and top edge
// of the first pixel, x2 and y2 the left and top edge of the last one. VOC's evaluation therefore
// counts widths as x2 - x1 + 1. A missing <difficult> means 0; boxes may have fractions, and their
// four elements any order. The image is the file that <filename> names, else the one named as the
// annotation. Objects keep wrong boxes as they are (see box_policy.h). Throws ConfigError when the
// layout is not there; what is wrong with single files goes the way of OpenOptions::on_problem.
std::unique_ptr<Dataset> open_voc(const std::string& name, const DatasetDefinition& definition,
                                  const OpenOptions& options);

}  // namespace ssdq
