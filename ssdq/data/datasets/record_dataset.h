#pragma once

#include <string>
#include <vector>

#include "ssdq/data/dataset.h"

namespace ssdq {

// What a reader made of one image.
struct LoadedImage {
  Record record;
  bool usable = true;  // false: nothing to train on or to decode
  std::vector<Problem> problems;

  void add_problem(ProblemKind kind, std::string message) {
    problems.push_back({kind, record.image_id, std::move(message)});
  }
};

// A data set whose records are all in memory: what the built-in formats read into.
class RecordDataset : public Dataset {
 public:
  struct Info {
    std::string name;
    std::string format;
    std::string source;  // the list or annotation file, for messages
    std::vector<std::string> class_names;
    std::vector<int64_t> category_ids;  // empty: the labels
    std::vector<Problem> problems;      // of no listed image
  };

  // Keeps the usable images. Problems, images listed twice among them, go to options.on_problem in
  // the order of the images, or throw Error. Throws Error when no image is left.
  RecordDataset(Info info, std::vector<LoadedImage> images, const OpenOptions& options);

  int64_t size() const override { return static_cast<int64_t>(records_.size()); }
  Record record(int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return info_.class_names; }
  std::string name() const override { return info_.name; }
  std::string format() const override { return info_.format; }
  int64_t category_id(int label) const override;

 private:
  Info info_;
  std::vector<Record> records_;
};

// "a, b, c", shortened behind the twentieth.
std::string list_names(const std::vector<std::string>& names);

}  // namespace ssdq
