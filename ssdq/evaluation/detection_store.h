#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "ssdq/structures/detection.h"
#include "ssdq/structures/object.h"

namespace ssdq {

// What one image holds of one class. The pointers live as long as the store is not changed.
struct ClassImage {
  std::vector<const Object*> objects;        // in the order of the record
  std::vector<const Detection*> detections;  // by falling score, equal ones in the order added
};

// Orders image ids: numbers by value, before everything else; other ids by their bytes.
bool image_id_less(const std::string& a, const std::string& b);

// Truth and detections of the images evaluated so far.
class DetectionStore {
 public:
  explicit DetectionStore(std::vector<std::string> class_names);

  const std::vector<std::string>& class_names() const { return class_names_; }

  void clear();

  // Throws Error as Evaluator::add() says.
  void add(const Record& truth, const Detections& detections);

  // Adds the images of `other` that are not here yet. Throws Error if the classes differ.
  void merge(const DetectionStore& other);

  // Per class (label - 1) the images that hold an object or a detection of it, by rising id.
  std::vector<std::vector<ClassImage>> by_class() const;

 private:
  struct Image {
    std::string id;
    std::vector<Object> objects;
    Detections detections;  // by falling score, stable
  };

  std::vector<std::string> class_names_;
  std::vector<Image> images_;
  std::unordered_set<std::string> ids_;
};

}  // namespace ssdq
