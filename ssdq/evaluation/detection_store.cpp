#include "ssdq/evaluation/detection_store.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

bool is_number(const std::string& id) {
  return !id.empty() &&
         std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_finite(const Detection& detection) {
  const Box& box = detection.box;
  return std::isfinite(detection.score) && std::isfinite(box.x1) && std::isfinite(box.y1) &&
         std::isfinite(box.x2) && std::isfinite(box.y2);
}

void check_label(int label, size_t num_classes, const char* what, const std::string& id) {
  SSDQ_CHECK(label >= 1 && label <= static_cast<int>(num_classes),
             "evaluation: {} of image '{}' has label {}, expected 1..{}", what, id, label,
             num_classes);
}

}  // namespace

bool image_id_less(const std::string& a, const std::string& b) {
  const bool a_number = is_number(a);
  const bool b_number = is_number(b);
  if (a_number != b_number) {
    return a_number;
  }
  if (a_number) {
    const std::string a_value = a.substr(std::min(a.find_first_not_of('0'), a.size()));
    const std::string b_value = b.substr(std::min(b.find_first_not_of('0'), b.size()));
    if (a_value.size() != b_value.size()) {
      return a_value.size() < b_value.size();
    }
    if (a_value != b_value) {
      return a_value < b_value;
    }
  }
  return a < b;
}

DetectionStore::DetectionStore(std::vector<std::string> class_names)
    : class_names_(std::move(class_names)) {}

void DetectionStore::clear() {
  images_.clear();
  ids_.clear();
}

void DetectionStore::add(const Record& truth, const Detections& detections) {
  for (const Object& object : truth.objects) {
    check_label(object.label, class_names_.size(), "an object", truth.image_id);
  }
  for (const Detection& detection : detections) {
    check_label(detection.label, class_names_.size(), "a detection", truth.image_id);
    SSDQ_CHECK(is_finite(detection),
               "evaluation: a detection of image '{}' has score {} and box ({}, {}, {}, {}), "
               "expected finite numbers",
               truth.image_id, detection.score, detection.box.x1, detection.box.y1,
               detection.box.x2, detection.box.y2);
  }
  SSDQ_CHECK(ids_.insert(truth.image_id).second, "evaluation: image '{}' was added twice",
             truth.image_id);
  images_.push_back({truth.image_id, truth.objects, detections});
  Detections& sorted = images_.back().detections;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
}

void DetectionStore::merge(const DetectionStore& other) {
  SSDQ_CHECK(class_names_ == other.class_names_,
             "evaluation: results over {} classes cannot be merged with results over {} others",
             class_names_.size(), other.class_names_.size());
  if (this == &other) {
    return;
  }
  for (const Image& image : other.images_) {
    if (ids_.insert(image.id).second) {
      images_.push_back(image);
    }
  }
}

std::vector<std::vector<ClassImage>> DetectionStore::by_class() const {
  std::vector<size_t> order(images_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return image_id_less(images_[a].id, images_[b].id); });

  std::vector<std::vector<ClassImage>> classes(class_names_.size());
  std::vector<size_t> last_image(class_names_.size(), images_.size());
  for (const size_t index : order) {
    const auto class_image = [&](int label) -> ClassImage& {
      const auto c = static_cast<size_t>(label - 1);
      if (last_image[c] != index) {
        last_image[c] = index;
        classes[c].emplace_back();
      }
      return classes[c].back();
    };
    for (const Object& object : images_[index].objects) {
      class_image(object.label).objects.push_back(&object);
    }
    for (const Detection& detection : images_[index].detections) {
      class_image(detection.label).detections.push_back(&detection);
    }
  }
  return classes;
}

}  // namespace ssdq
