#include "ssdq/data/datasets/concat.h"

#include <algorithm>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class ConcatDataset : public Dataset {
 public:
  explicit ConcatDataset(std::vector<std::unique_ptr<Dataset>> parts) : parts_(std::move(parts)) {
    int64_t total = 0;
    for (const auto& part : parts_) {
      total += part->size();
      ends_.push_back(total);
    }
  }

  int64_t size() const override { return ends_.back(); }

  Record record(int64_t index) const override {
    SSDQ_CHECK(index >= 0 && index < size(), "data set {}: image {} asked for, it has 0..{}",
               name(), index, size() - 1);
    const auto part = std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin();
    const int64_t start = part == 0 ? 0 : ends_[static_cast<std::size_t>(part - 1)];
    return parts_[static_cast<std::size_t>(part)]->record(index - start);
  }

  const std::vector<std::string>& class_names() const override {
    return parts_.front()->class_names();
  }

  std::string name() const override {
    std::string text = parts_.front()->name();
    for (std::size_t i = 1; i < parts_.size(); ++i) {
      text += "+" + parts_[i]->name();
    }
    return text;
  }

  std::string format() const override { return parts_.front()->format(); }
  int64_t category_id(int label) const override { return parts_.front()->category_id(label); }

 private:
  std::vector<std::unique_ptr<Dataset>> parts_;
  std::vector<int64_t> ends_;
};

void check_same_classes(const Dataset& a, const Dataset& b) {
  const std::vector<std::string>& left = a.class_names();
  const std::vector<std::string>& right = b.class_names();
  SSDQ_CHECK_CONFIG(left.size() == right.size(),
                    "data sets {} and {} cannot be joined: they have {} and {} classes", a.name(),
                    b.name(), left.size(), right.size());
  const auto [in_left, in_right] = std::mismatch(left.begin(), left.end(), right.begin());
  SSDQ_CHECK_CONFIG(in_left == left.end(),
                    "data sets {} and {} cannot be joined: label {} is '{}' in the first and '{}' "
                    "in the second",
                    a.name(), b.name(), in_left - left.begin() + 1, *in_left, *in_right);
}

}  // namespace

std::unique_ptr<Dataset> concat(std::vector<std::unique_ptr<Dataset>> parts) {
  SSDQ_CHECK_CONFIG(!parts.empty(), "no data set is named");
  for (const auto& part : parts) {
    check_same_classes(*parts.front(), *part);
  }
  if (parts.size() == 1) {
    return std::move(parts.front());
  }
  return std::make_unique<ConcatDataset>(std::move(parts));
}

}  // namespace ssdq
