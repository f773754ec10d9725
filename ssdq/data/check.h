#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ssdq/data/catalog.h"
#include "ssdq/data/problem.h"

namespace ssdq {

// What reading a whole data set found.
struct CheckReport {
  std::string dataset;
  std::string format;
  int64_t num_images = 0;  // that could be opened
  int64_t num_objects = 0;
  std::vector<std::string> class_names;
  std::vector<int64_t> objects_per_class;  // as class_names
  std::vector<Problem> problems;           // annotations first, then in the order of the images

  std::map<ProblemKind, int64_t> counts() const;
  // No problem that is more than a note.
  bool clean() const;
};

// "degenerate box" and the like.
std::string describe(ProblemKind kind);

// Allowed, but worth knowing: images without objects.
bool is_note(ProblemKind kind);

// Opens data set `name` as for testing, decodes every image and judges every box, on `num_threads`
// threads (0: all cores). Goes on after problems. Throws ConfigError when the data set is unknown
// or not there, Error when a file that everything hangs on (split list, COCO json) cannot be read.
CheckReport check_dataset(const DatasetCatalog& catalog, const std::string& name, int num_threads);

// The report as JSON: {"dataset", "format", "images", "objects", "classes", "counts", "problems"}.
std::string to_json(const std::vector<CheckReport>& reports);

}  // namespace ssdq
