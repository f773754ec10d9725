#include "ssdq/data/datasets/coco_json.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "ssdq/data/datasets/text_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using Json = nlohmann::json;

enum class Section { kOther, kImages, kAnnotations, kCategories };

// Depth of the values that matter: {"images": [{"id": 1, "bbox": [...]}]}.
constexpr int kFileDepth = 1;
constexpr int kSectionDepth = 2;
constexpr int kEntryDepth = 3;
constexpr int kListDepth = 4;

class CocoHandler : public Json::json_sax_t {
 public:
  CocoFile file;
  bool seen_images = false;
  bool seen_annotations = false;
  bool seen_categories = false;
  std::size_t error_offset = 0;
  std::string error_message;

  bool null() override { return true; }
  bool boolean(bool value) override { return number(value ? 1 : 0); }
  bool number_integer(number_integer_t value) override {
    return integer(static_cast<int64_t>(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return integer(static_cast<int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return number(value);
  }
  bool binary(binary_t& /*value*/) override { return true; }

  bool string(string_t& value) override {
    if (depth_ == kEntryDepth && section_ == Section::kImages && field_ == "file_name") {
      file.images.back().file_name = std::move(value);
    } else if (depth_ == kEntryDepth && section_ == Section::kCategories && field_ == "name") {
      file.categories.back().name = std::move(value);
    }
    return true;
  }

  bool start_object(std::size_t /*elements*/) override {
    ++depth_;
    if (depth_ == kEntryDepth && section_ == Section::kImages) {
      file.images.emplace_back();
    } else if (depth_ == kEntryDepth && section_ == Section::kAnnotations) {
      file.annotations.emplace_back();
    } else if (depth_ == kEntryDepth && section_ == Section::kCategories) {
      file.categories.emplace_back();
    }
    is_entry_ = depth_ == kEntryDepth || (is_entry_ && depth_ > kEntryDepth);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*elements*/) override {
    ++depth_;
    if (depth_ == kSectionDepth) {
      seen_images |= section_ == Section::kImages;
      seen_annotations |= section_ == Section::kAnnotations;
      seen_categories |= section_ == Section::kCategories;
    }
    in_bbox_ =
        is_entry_ && depth_ == kListDepth && section_ == Section::kAnnotations && field_ == "bbox";
    return true;
  }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    if (depth_ == kFileDepth) {
      section_ = value == "images"        ? Section::kImages
                 : value == "annotations" ? Section::kAnnotations
                 : value == "categories"  ? Section::kCategories
                                          : Section::kOther;
    } else if (depth_ == kEntryDepth) {
      field_ = std::move(value);
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    error_offset = position;
    error_message = error.what();
    return false;
  }

 private:
  bool close() {
    --depth_;
    in_bbox_ = false;
    is_entry_ = is_entry_ && depth_ >= kEntryDepth;
    return true;
  }

  bool integer(int64_t value) {
    std::optional<int64_t>* target = id_field();
    if (target != nullptr) {
      *target = value;
      return true;
    }
    return number(static_cast<double>(value));
  }

  bool number(double value) {
    if (in_bbox_ && depth_ == kListDepth) {
      CocoAnnotation& annotation = file.annotations.back();
      if (annotation.bbox_size < 4) {
        annotation.bbox[static_cast<std::size_t>(annotation.bbox_size)] = value;
      }
      ++annotation.bbox_size;
    } else if (depth_ == kEntryDepth && is_entry_) {
      set_field(value);
    }
    return true;
  }

  void set_field(double value) {
    std::optional<int64_t>* target = id_field();
    if (target != nullptr) {
      if (value == std::floor(value) && std::abs(value) < 1e15) {
        *target = static_cast<int64_t>(value);
      }
    } else if (section_ == Section::kImages && field_ == "width") {
      file.images.back().width = whole_pixels(value);
    } else if (section_ == Section::kImages && field_ == "height") {
      file.images.back().height = whole_pixels(value);
    } else if (section_ == Section::kAnnotations && field_ == "area") {
      file.annotations.back().area = value;
    } else if (section_ == Section::kAnnotations && field_ == "iscrowd") {
      file.annotations.back().crowd = value != 0;
    }
  }

  std::optional<int64_t>* id_field() {
    if (depth_ != kEntryDepth || !is_entry_) {
      return nullptr;
    }
    if (section_ == Section::kImages && field_ == "id") {
      return &file.images.back().id;
    }
    if (section_ == Section::kCategories && field_ == "id") {
      return &file.categories.back().id;
    }
    if (section_ == Section::kAnnotations) {
      CocoAnnotation& annotation = file.annotations.back();
      return field_ == "id"            ? &annotation.id
             : field_ == "image_id"    ? &annotation.image_id
             : field_ == "category_id" ? &annotation.category_id
                                       : nullptr;
    }
    return nullptr;
  }

  int depth_ = 0;
  Section section_ = Section::kOther;
  bool is_entry_ = false;  // inside an object of a section
  bool in_bbox_ = false;
  std::string field_;
};

}  // namespace

CocoFile read_coco_json(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  CocoHandler handler;
  const bool is_json = Json::sax_parse(text.data(), text.data() + text.size(), &handler);
  SSDQ_CHECK(is_json, "{}:{}: not valid JSON: {}", path.string(),
             line_at(text, handler.error_offset), handler.error_message);
  const char* missing = !handler.seen_images        ? "images"
                        : !handler.seen_annotations ? "annotations"
                        : !handler.seen_categories  ? "categories"
                                                    : nullptr;
  SSDQ_CHECK(missing == nullptr,
             "{}: not a COCO instances file: it has no list \"{}\"; expected {{\"images\": [...], "
             "\"annotations\": [...], \"categories\": [...]}}",
             path.string(), missing);
  return std::move(handler.file);
}

}  // namespace ssdq
