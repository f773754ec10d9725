#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ssdq/data/problem.h"
#include "ssdq/structures/object.h"

namespace ssdq {

// A map-style data set: annotations are parsed once when it is opened, images are never decoded.
// Every method may be called from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;

  // Annotation of image `index` in [0, size()), in the order of the split.
  virtual Record record(int64_t index) const = 0;

  // Class names, label 1 first: names[label - 1].
  virtual const std::vector<std::string>& class_names() const = 0;

  virtual std::string name() const = 0;

  // "voc", "coco", "txt" or a format that a project added. Says which metric is usual.
  virtual std::string format() const = 0;

  // The number that the annotation file gives the class of `label` in 1..C; COCO result files need
  // it (its 80 categories are numbered up to 90). The label itself in other formats.
  virtual int64_t category_id(int label) const { return label; }
};

// How a data set is opened.
struct OpenOptions {
  // Leaves out what a detector does not learn from: VOC's difficult objects, COCO's crowd regions
  // and, in COCO, images that have no object left (as lufficc/SSD does).
  bool training = false;
  // Unset: kept unless training.
  std::optional<bool> keep_difficult;
  std::optional<bool> keep_crowd;
  std::optional<bool> keep_empty;  // COCO only: the other formats always keep empty images
  // Set: receives each problem of the annotations, which are then skipped. Unset: the first problem
  // throws Error.
  ProblemSink on_problem;
};

}  // namespace ssdq
