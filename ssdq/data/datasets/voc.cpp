#include "ssdq/data/datasets/voc.h"

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include <tbb/parallel_for.h>
#include <pugixml.hpp>

#include "ssdq/data/datasets/image_files.h"
#include "ssdq/data/datasets/record_dataset.h"
#include "ssdq/data/datasets/text_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

// Reads the annotations of one split. read() may run in several threads.
class VocReader {
 public:
  VocReader(const fs::path& root, const std::vector<std::string>& classes, bool keep_difficult,
            const std::string& what)
      : annotations_(root / "Annotations"),
        images_(root / "JPEGImages", what),
        image_folder_(root / "JPEGImages"),
        classes_(classes),
        keep_difficult_(keep_difficult) {
    int label = 0;
    for (const std::string& name : classes) {
      labels_.emplace(name, ++label);
    }
  }

  LoadedImage read(const std::string& id) const;

 private:
  void read_objects(const pugi::xml_node& root, const fs::path& path, const std::string& text,
                    LoadedImage& image) const;
  bool read_object(const pugi::xml_node& node, int number, const std::string& where,
                   LoadedImage& image) const;
  void find_image(const pugi::xml_node& root, const fs::path& path, LoadedImage& image) const;

  fs::path annotations_;
  ImageFiles images_;
  fs::path image_folder_;
  const std::vector<std::string>& classes_;
  std::unordered_map<std::string, int> labels_;
  bool keep_difficult_;
};

std::string child_text(const pugi::xml_node& node, const char* name) {
  return std::string(trim(node.child_value(name)));
}

LoadedImage VocReader::read(const std::string& id) const {
  const fs::path path = annotations_ / (id + ".xml");
  LoadedImage image;
  image.record.image_id = id;
  std::string text;
  pugi::xml_document document;
  std::error_code code;
  if (!fs::exists(path, code)) {
    image.add_problem(ProblemKind::kMissingAnnotation,
                      fmt::format("{}: there is no such annotation, but the split names image {}",
                                  path.string(), id));
  } else {
    try {
      text = read_text(path);
      const auto result = document.load_buffer(text.data(), text.size());
      if (!result || !document.child("annotation")) {
        const int line =
            line_at(text, static_cast<std::size_t>(std::max<std::ptrdiff_t>(result.offset, 0)));
        image.add_problem(
            ProblemKind::kBadAnnotation,
            fmt::format("{}:{}: not a VOC annotation: {}", path.string(), line,
                        result ? "there is no <annotation> element" : result.description()));
      }
    } catch (const Error& error) {
      image.add_problem(ProblemKind::kBadAnnotation, error.what());
    }
  }
  const pugi::xml_node root = document.child("annotation");
  find_image(root, path, image);
  read_objects(root, path, text, image);
  return image;
}

void VocReader::find_image(const pugi::xml_node& root, const fs::path& path,
                           LoadedImage& image) const {
  Record& record = image.record;
  const std::string named = child_text(root, "filename");
  std::optional<fs::path> found;
  if (!named.empty()) {
    found = images_.find(fs::path(named).filename().string());
  }
  // Copied annotations often keep the <filename> of the file they were copied from.
  if (!found || found->stem() != record.image_id) {
    const std::optional<fs::path> same_name = images_.find(record.image_id);
    found = same_name ? same_name : found;
  }
  if (found) {
    record.image_path = found->string();
    return;
  }
  image.usable = false;
  image.add_problem(ProblemKind::kMissingImage,
                    fmt::format("{}: its image {} is not in {}", path.string(),
                                named.empty() ? record.image_id : named, image_folder_.string()));
}

void VocReader::read_objects(const pugi::xml_node& root, const fs::path& path,
                             const std::string& text, LoadedImage& image) const {
  const pugi::xml_node size = root.child("size");
  image.record.width = whole_pixels(parse_number(size.child_value("width")).value_or(0));
  image.record.height = whole_pixels(parse_number(size.child_value("height")).value_or(0));
  int number = 0;
  for (const pugi::xml_node& node : root.children("object")) {
    const int line = line_at(text, static_cast<std::size_t>(node.offset_debug()));
    read_object(node, ++number, fmt::format("{}:{}", path.string(), line), image);
  }
}

bool VocReader::read_object(const pugi::xml_node& node, int number, const std::string& where,
                            LoadedImage& image) const {
  const std::string class_name = child_text(node, "name");
  const auto label = labels_.find(class_name);
  if (label == labels_.end()) {
    image.add_problem(ProblemKind::kUnknownClass,
                      fmt::format("{}: object {} has class '{}', which is not one of {}", where,
                                  number, class_name, list_names(classes_)));
    return false;
  }
  Object object;
  object.label = label->second;
  object.difficult = parse_number(node.child_value("difficult")).value_or(0) != 0;
  const pugi::xml_node box = node.child("bndbox");
  const std::pair<const char*, float*> sides[] = {{"xmin", &object.box.x1},
                                                  {"ymin", &object.box.y1},
                                                  {"xmax", &object.box.x2},
                                                  {"ymax", &object.box.y2}};
  for (const auto& [side, value] : sides) {
    const std::optional<double> number_read = parse_number(box.child_value(side));
    if (!number_read) {
      image.add_problem(
          ProblemKind::kBadAnnotation,
          fmt::format("{}: object {} ({}) has '{}' as <{}> of its <bndbox>, a number was expected",
                      where, number, class_name, child_text(box, side), side));
      return false;
    }
    *value = static_cast<float>(*number_read - 1);
  }
  if (keep_difficult_ || !object.difficult) {
    image.record.objects.push_back(object);
  }
  return true;
}

}  // namespace

const std::vector<std::string>& voc_class_names() {
  static const std::vector<std::string> names{
      "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",      "car",
      "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",    "motorbike",
      "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor"};
  return names;
}

std::unique_ptr<Dataset> open_voc(const std::string& name, const DatasetDefinition& definition,
                                  const OpenOptions& options) {
  const std::string what = "data set " + name;
  SSDQ_CHECK_CONFIG(!definition.root.empty() && !definition.split.empty(),
                    "{}: format voc needs ROOT (the folder of Annotations, ImageSets and "
                    "JPEGImages) and SPLIT (a file of ImageSets/Main without .txt)",
                    what);
  const fs::path root = definition.root;
  const fs::path list = root / "ImageSets" / "Main" / (definition.split + ".txt");
  std::error_code code;
  SSDQ_CHECK_CONFIG(fs::is_regular_file(list, code), "{}: there is no list of images {}", what,
                    list.string());
  const std::vector<std::string>& classes =
      definition.classes.empty() ? voc_class_names() : definition.classes;
  const VocReader reader(root, classes, options.keep_difficult.value_or(!options.training), what);
  const std::vector<TextLine> lines = read_lines(list);
  std::vector<LoadedImage> images(lines.size());
  tbb::parallel_for(std::size_t{0}, lines.size(),
                    [&](std::size_t i) { images[i] = reader.read(lines[i].text); });
  return std::make_unique<RecordDataset>(
      RecordDataset::Info{name, "voc", list.string(), classes, {}, {}}, std::move(images), options);
}

}  // namespace ssdq
