#include "ssdq/data/catalog.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "ssdq/data/datasets/coco.h"
#include "ssdq/data/datasets/concat.h"
#include "ssdq/data/datasets/txt.h"
#include "ssdq/data/datasets/voc.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

// A folder of downloaded data, named by an environment variable.
struct DataRoot {
  const char* variable;
  std::vector<const char*> defaults;
  const char* script;
};

const std::vector<DataRoot>& data_roots() {
  static const std::vector<DataRoot> roots{
      {"VOC_ROOT", {"../data/VOCdevkit", "datasets/VOCdevkit"}, "datasets/get_voc.sh"},
      {"COCO_ROOT", {"../data/coco", "datasets/coco"}, "datasets/get_coco.sh"}};
  return roots;
}

std::map<std::string, DatasetFormat>& mutable_formats() {
  static std::map<std::string, DatasetFormat> formats{
      {"coco", {"COCO instances json and a folder of images", open_coco}},
      {"txt", {"a .data file, and a text file of normalised boxes for each image", open_txt}},
      {"voc", {"PASCAL VOC folders: Annotations (xml), ImageSets, JPEGImages", open_voc}}};
  return formats;
}

DatasetDefinition voc_definition(const std::string& root, const std::string& split) {
  DatasetDefinition definition;
  definition.format = "voc";
  definition.root = root;
  definition.split = split;
  return definition;
}

DatasetDefinition coco_definition(const std::string& annotations, const std::string& images) {
  DatasetDefinition definition;
  definition.format = "coco";
  definition.root = "$COCO_ROOT";
  definition.annotations = "annotations/instances_" + annotations + ".json";
  definition.images = images;
  return definition;
}

std::map<std::string, DatasetDefinition> built_in_definitions() {
  std::map<std::string, DatasetDefinition> all;
  for (const std::string split : {"train", "val", "trainval", "test"}) {
    all["voc_2007_" + split] = voc_definition("$VOC_ROOT/VOC2007", split);
    all["voc_2012_" + split] = voc_definition("$VOC_ROOT/VOC2012", split);
    DatasetDefinition bccd = voc_definition("datasets/bccd", split);
    bccd.classes = {"RBC", "WBC", "Platelets"};
    all["bccd_" + split] = bccd;
  }
  all["coco_2014_train"] = coco_definition("train2014", "train2014");
  for (const std::string split : {"val", "minival", "valminusminival"}) {
    all["coco_2014_" + split] = coco_definition(split + "2014", "val2014");
  }
  all["coco_2017_train"] = coco_definition("train2017", "train2017");
  all["coco_2017_val"] = coco_definition("val2017", "val2017");
  return all;
}

std::string nearest_hint(const std::string& name, const std::vector<std::string>& known) {
  const auto nearest = nearest_name(name, known);
  return nearest ? fmt::format(" (did you mean {}?)", *nearest) : "";
}

bool is_there(const fs::path& path) {
  std::error_code code;
  return fs::exists(path, code);
}

const DataRoot* find_data_root(const std::string& variable) {
  for (const DataRoot& root : data_roots()) {
    if (root.variable == variable) {
      return &root;
    }
  }
  return nullptr;
}

// Where the path `below` $variable may lie.
std::vector<fs::path> expand_variable(const std::string& name, const std::string& variable,
                                      const fs::path& below) {
  const char* value = std::getenv(variable.c_str());
  if (value != nullptr && *value != '\0') {
    return {value / below};
  }
  const DataRoot* root = find_data_root(variable);
  SSDQ_CHECK_CONFIG(root != nullptr, "data set {}: the environment variable {} is not set", name,
                    variable);
  std::vector<fs::path> places;
  for (const char* folder : root->defaults) {
    places.push_back(folder / below);
  }
  return places;
}

}  // namespace

const std::map<std::string, DatasetFormat>& dataset_formats() { return mutable_formats(); }

void register_dataset_format(const std::string& name, DatasetFormat format) {
  SSDQ_CHECK(mutable_formats().emplace(name, std::move(format)).second,
             "data set format {} is registered already", name);
}

std::vector<std::string> dataset_search_dirs(const std::string& config_file) {
  std::vector<std::string> dirs = {"."};
  if (!config_file.empty()) {
    const fs::path beside = fs::path(config_file).parent_path();
    dirs.push_back(beside.empty() ? "." : beside.string());
    dirs.push_back((beside / "..").lexically_normal().string());
  }
#ifdef SSDQ_SHARE_DIR
  dirs.emplace_back(SSDQ_SHARE_DIR);
#endif
  return dirs;
}

DatasetCatalog::DatasetCatalog(std::vector<std::string> search_dirs)
    : search_dirs_(std::move(search_dirs)), definitions_(built_in_definitions()) {}

void DatasetCatalog::add(const std::string& name, DatasetDefinition definition) {
  std::vector<std::string> formats;
  for (const auto& entry : dataset_formats()) {
    formats.push_back(entry.first);
  }
  SSDQ_CHECK_CONFIG(dataset_formats().count(definition.format) != 0,
                    "data set {}: unknown format '{}'{}; it must be one of {}", name,
                    definition.format, nearest_hint(definition.format, formats),
                    fmt::join(formats, ", "));
  SSDQ_CHECK_CONFIG(definitions_.emplace(name, std::move(definition)).second,
                    "data set {}: there is one of this name already; choose another name", name);
}

std::vector<std::string> DatasetCatalog::names() const {
  std::vector<std::string> all;
  for (const auto& entry : definitions_) {
    all.push_back(entry.first);
  }
  return all;
}

const DatasetDefinition& DatasetCatalog::find(const std::string& name) const {
  const auto found = definitions_.find(name);
  SSDQ_CHECK_CONFIG(
      found != definitions_.end(),
      "unknown data set '{}'{}; known are {}; describe your own under DATASETS.DEFINE", name,
      nearest_hint(name, names()), fmt::join(names(), ", "));
  return found->second;
}

std::string DatasetCatalog::summary(const std::string& name) const {
  const DatasetDefinition& definition = find(name);
  std::string text = definition.format;
  if (!definition.split.empty()) {
    text += ", split " + definition.split;
  }
  if (!definition.root.empty()) {
    text += ", " + definition.root;
  }
  if (!definition.annotations.empty()) {
    text += ", " + definition.annotations;
  }
  return definition.classes.empty()
             ? text
             : fmt::format("{}, classes {}", text, fmt::join(definition.classes, ", "));
}

std::string DatasetCatalog::locate(const std::vector<fs::path>& candidates) const {
  for (const fs::path& candidate : candidates) {
    for (const fs::path folder : search_dirs_) {
      if (is_there(folder / candidate)) {
        return (folder / candidate).lexically_normal().string();
      }
      if (folder != "." && is_there(folder / ".." / candidate)) {
        return (folder / ".." / candidate).lexically_normal().string();
      }
    }
  }
  return {};
}

std::string DatasetCatalog::resolve_root(const std::string& name, const std::string& path) const {
  std::vector<fs::path> candidates{path};
  std::string advice;
  if (path.front() == '$') {
    const std::string variable = path.substr(1, path.find('/') - 1);
    const fs::path below = fs::path(path.substr(variable.size() + 1)).relative_path();
    candidates = expand_variable(name, variable, below);
    const DataRoot* root = find_data_root(variable);
    advice = root == nullptr
                 ? ""
                 : fmt::format("; set {} to the folder that holds it, or fetch it with {}",
                               variable, root->script);
  }
  std::string found = locate(candidates);
  if (!found.empty()) {
    return found;
  }
  std::vector<std::string> tried;
  tried.reserve(candidates.size());
  for (const fs::path& candidate : candidates) {
    tried.push_back(candidate.string());
  }
  fail_config("data set {}: there is no {} (searched from {}){}", name, fmt::join(tried, " or "),
              fmt::join(search_dirs_, ", "), advice);
}

DatasetDefinition DatasetCatalog::resolve(const std::string& name,
                                          DatasetDefinition definition) const {
  const bool has_root = !definition.root.empty();
  if (has_root) {
    definition.root = resolve_root(name, definition.root);
  }
  for (std::string* path : {&definition.annotations, &definition.images}) {
    if (path->empty()) {
      continue;
    }
    if (!has_root) {
      *path = resolve_root(name, *path);
      continue;
    }
    const std::string below = (fs::path(definition.root) / *path).string();
    const std::string elsewhere = is_there(below) ? "" : locate({*path});
    *path = elsewhere.empty() ? below : elsewhere;
  }
  return definition;
}

std::unique_ptr<Dataset> DatasetCatalog::open(const std::string& name,
                                              const OpenOptions& options) const {
  const DatasetDefinition& definition = find(name);
  return dataset_formats().at(definition.format).open(name, resolve(name, definition), options);
}

std::unique_ptr<Dataset> DatasetCatalog::open_all(const std::vector<std::string>& names,
                                                  const OpenOptions& options) const {
  std::vector<std::unique_ptr<Dataset>> parts;
  parts.reserve(names.size());
  for (const std::string& name : names) {
    parts.push_back(open(name, options));
  }
  return concat(std::move(parts));
}

}  // namespace ssdq
