#include "ssdq/data/datasets/record_dataset.h"

#include <algorithm>
#include <unordered_set>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Throws the first problem when nobody takes them.
void report_problems(const std::string& name, const std::vector<const Problem*>& problems,
                     const ProblemSink& sink) {
  if (sink) {
    for (const Problem* problem : problems) {
      sink(*problem);
    }
  } else if (problems.size() > 1) {
    fail("{} ({} more problems in data set {}; check_data lists them)", problems.front()->message,
         problems.size() - 1, name);
  } else if (!problems.empty()) {
    fail("{}", problems.front()->message);
  }
}

}  // namespace

RecordDataset::RecordDataset(Info info, std::vector<LoadedImage> images, const OpenOptions& options)
    : info_(std::move(info)) {
  std::unordered_set<std::string> seen;
  for (LoadedImage& image : images) {
    if (!seen.insert(image.record.image_id).second) {
      image.add_problem(
          ProblemKind::kDuplicateImage,
          fmt::format("{}: image {} is listed twice", info_.source, image.record.image_id));
      image.usable = false;
    }
  }
  std::vector<const Problem*> problems;
  for (const LoadedImage& image : images) {
    for (const Problem& problem : image.problems) {
      problems.push_back(&problem);
    }
  }
  for (const Problem& problem : info_.problems) {
    problems.push_back(&problem);
  }
  report_problems(info_.name, problems, options.on_problem);
  records_.reserve(images.size());
  for (LoadedImage& image : images) {
    if (image.usable) {
      records_.push_back(std::move(image.record));
    }
  }
  SSDQ_CHECK(!records_.empty() || options.on_problem,
             "{}: data set {} is empty; it needs at least one {}", info_.source, info_.name,
             images.empty() ? "image" : "image with an object to learn from");
}

Record RecordDataset::record(int64_t index) const {
  SSDQ_CHECK(index >= 0 && index < size(), "data set {}: image {} asked for, it has 0..{}",
             info_.name, index, size() - 1);
  return records_[static_cast<std::size_t>(index)];
}

int64_t RecordDataset::category_id(int label) const {
  SSDQ_CHECK(label >= 1 && label <= static_cast<int>(info_.class_names.size()),
             "data set {}: label {} asked for, it has 1..{}", info_.name, label,
             info_.class_names.size());
  return info_.category_ids.empty() ? label
                                    : info_.category_ids[static_cast<std::size_t>(label - 1)];
}

std::string list_names(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 20;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMost));
  const std::string text = fmt::format("{}", fmt::join(names.begin(), end, ", "));
  return names.size() > kMost ? fmt::format("{} and {} more", text, names.size() - kMost) : text;
}

}  // namespace ssdq
