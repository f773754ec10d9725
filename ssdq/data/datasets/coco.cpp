#include "ssdq/data/datasets/coco.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <unordered_map>

#include "ssdq/data/datasets/coco_json.h"
#include "ssdq/data/datasets/image_files.h"
#include "ssdq/data/datasets/record_dataset.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

class CocoReader {
 public:
  CocoReader(std::string source, const OpenOptions& options)
      : source_(std::move(source)), keep_crowd_(options.keep_crowd.value_or(!options.training)) {}

  void read_categories(const std::vector<CocoCategory>& categories);
  void read_images(std::vector<CocoImage> images, const ImageFiles& files,
                   const fs::path& image_folder);
  void read_annotations(const std::vector<CocoAnnotation>& annotations);

  std::vector<std::string> class_names;
  std::vector<int64_t> category_ids;
  std::vector<LoadedImage> images;
  std::vector<Problem> problems;  // of images that are not in the list

 private:
  void read_annotation(const CocoAnnotation& annotation, const std::string& where);

  std::string source_;
  bool keep_crowd_;
  std::unordered_map<int64_t, int> labels_;
  std::unordered_map<int64_t, std::size_t> image_indices_;
};

void CocoReader::read_categories(const std::vector<CocoCategory>& categories) {
  std::map<int64_t, std::string> by_id;
  for (const CocoCategory& category : categories) {
    SSDQ_CHECK(category.id.has_value(), "{}: category '{}' has no number as \"id\"", source_,
               category.name);
    SSDQ_CHECK(by_id.emplace(*category.id, category.name).second, "{}: two categories have id {}",
               source_, *category.id);
  }
  for (const auto& [id, name] : by_id) {
    class_names.push_back(name);
    category_ids.push_back(id);
    labels_.emplace(id, static_cast<int>(class_names.size()));
  }
}

void CocoReader::read_images(std::vector<CocoImage> entries, const ImageFiles& files,
                             const fs::path& image_folder) {
  images.reserve(entries.size());
  for (CocoImage& entry : entries) {
    LoadedImage image;
    Record& record = image.record;
    record.width = entry.width;
    record.height = entry.height;
    if (!entry.id) {
      record.image_id = "#" + std::to_string(images.size() + 1);
      image.usable = false;
      image.add_problem(ProblemKind::kBadAnnotation,
                        fmt::format("{}: image {} of the list ('{}') has no number as \"id\"",
                                    source_, images.size() + 1, entry.file_name));
      images.push_back(std::move(image));
      continue;
    }
    record.image_id = std::to_string(*entry.id);
    image_indices_.emplace(*entry.id, images.size());
    const std::optional<fs::path> path = files.find(entry.file_name);
    if (path) {
      record.image_path = path->string();
    } else {
      image.usable = false;
      image.add_problem(ProblemKind::kMissingImage,
                        fmt::format("{}: the file '{}' of image {} is not in {}", source_,
                                    entry.file_name, *entry.id, image_folder.string()));
    }
    images.push_back(std::move(image));
  }
}

void CocoReader::read_annotations(const std::vector<CocoAnnotation>& annotations) {
  int64_t number = 0;
  for (const CocoAnnotation& annotation : annotations) {
    ++number;
    const std::string where = annotation.id
                                  ? fmt::format("{}: annotation {}", source_, *annotation.id)
                                  : fmt::format("{}: annotation {} of the list", source_, number);
    read_annotation(annotation, where);
  }
}

void CocoReader::read_annotation(const CocoAnnotation& annotation, const std::string& where) {
  const auto index = image_indices_.find(annotation.image_id.value_or(-1));
  if (!annotation.image_id || index == image_indices_.end()) {
    if (!annotation.image_id) {
      problems.push_back({ProblemKind::kBadAnnotation, "",
                          fmt::format("{} has no number as \"image_id\"", where)});
    } else {
      problems.push_back({ProblemKind::kOrphanAnnotation, std::to_string(*annotation.image_id),
                          fmt::format("{} belongs to image {}, which is not in the list of images",
                                      where, *annotation.image_id)});
    }
    return;
  }
  LoadedImage& image = images[index->second];
  const auto label = labels_.find(annotation.category_id.value_or(-1));
  if (!annotation.category_id || label == labels_.end()) {
    image.add_problem(
        ProblemKind::kUnknownClass,
        fmt::format("{} has category {}, which is not in the list of categories", where,
                    annotation.category_id ? std::to_string(*annotation.category_id) : "none"));
    return;
  }
  if (annotation.bbox_size != 4) {
    image.add_problem(ProblemKind::kBadAnnotation,
                      fmt::format("{} has {} numbers as \"bbox\", 4 were expected (x, y, width, "
                                  "height)",
                                  where, annotation.bbox_size));
    return;
  }
  if (annotation.crowd && !keep_crowd_) {
    return;
  }
  const auto& [x, y, width, height] = annotation.bbox;
  Object object;
  object.box = {static_cast<float>(x), static_cast<float>(y), static_cast<float>(x + width),
                static_cast<float>(y + height)};
  object.label = label->second;
  object.crowd = annotation.crowd;
  object.area = annotation.area;
  image.record.objects.push_back(object);
}

}  // namespace

std::unique_ptr<Dataset> open_coco(const std::string& name, const DatasetDefinition& definition,
                                   const OpenOptions& options) {
  const std::string what = "data set " + name;
  SSDQ_CHECK_CONFIG(!definition.annotations.empty() && !definition.images.empty(),
                    "{}: format coco needs ANNOTATIONS (the instances json) and IMAGES (the folder "
                    "of the images)",
                    what);
  std::error_code code;
  SSDQ_CHECK_CONFIG(fs::is_regular_file(definition.annotations, code),
                    "{}: there is no annotation file {}", what, definition.annotations);
  const ImageFiles files(definition.images, what);
  CocoFile file = read_coco_json(definition.annotations);
  CocoReader reader(definition.annotations, options);
  reader.read_categories(file.categories);
  reader.read_images(std::move(file.images), files, definition.images);
  reader.read_annotations(file.annotations);
  if (!options.keep_empty.value_or(!options.training)) {
    for (LoadedImage& image : reader.images) {
      image.usable = image.usable && !image.record.objects.empty();
    }
  }
  return std::make_unique<RecordDataset>(
      RecordDataset::Info{name, "coco", definition.annotations, std::move(reader.class_names),
                          std::move(reader.category_ids), std::move(reader.problems)},
      std::move(reader.images), options);
}

}  // namespace ssdq
