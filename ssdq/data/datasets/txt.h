#pragma once

#include <memory>
#include <string>

#include "ssdq/config/config.h"
#include "ssdq/data/dataset.h"

namespace ssdq {

// Opens one list of a data set described by the file `definition.annotations` (X.data), lines of
// `key = value`, # for comments:
//   classes = 1                 number of classes
//   train = hand/train.txt      list of images for split train; valid = ... likewise
//   images = hand/images        folder of the images
//   labels = hand/labels        folder of the label files; beside the images when left out
//   names = hand.names          class names, one a line, label 1 first
// Paths are tried as they are, then from the folder of X.data, then from `definition.root`. A list
// names one image a line, with or without extension or folders. The label file of an image has its
// name and lines `class xc yc w h`: class from 0 (label - 1), the others fractions of the image's
// width and height. No file or an empty one means no objects. Image sizes come from the files'
// headers. Throws ConfigError for mistakes in X.data; wrong labels go the way of
// OpenOptions::on_problem as file:line.
std::unique_ptr<Dataset> open_txt(const std::string& name, const DatasetDefinition& definition,
                                  const OpenOptions& options);

}  // namespace ssdq
