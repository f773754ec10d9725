#include "ssdq/data/datasets/txt.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include <tbb/parallel_for.h>

#include "ssdq/data/datasets/image_files.h"
#include "ssdq/data/datasets/record_dataset.h"
#include "ssdq/data/datasets/text_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

// The keys of an X.data file.
class DataFile {
 public:
  DataFile(fs::path path, fs::path root);

  bool has(const std::string& key) const { return values_.count(key) != 0; }
  const std::string& value(const std::string& key) const;
  // The value as an existing path; throws ConfigError with the places tried.
  fs::path path(const std::string& key) const;

 private:
  fs::path path_;
  fs::path root_;
  std::map<std::string, std::string> values_;
};

DataFile::DataFile(fs::path path, fs::path root) : path_(std::move(path)), root_(std::move(root)) {
  constexpr std::array kKeys = {"classes", "train", "valid", "images", "labels", "names"};
  for (const TextLine& line : read_lines(path_)) {
    if (line.text.front() == '#') {
      continue;
    }
    const std::size_t equals = line.text.find('=');
    SSDQ_CHECK_CONFIG(equals != std::string::npos,
                      "{}:{}: '{}' is not a line of the form key = value", path_.string(),
                      line.number, line.text);
    const std::string key(trim(line.text.substr(0, equals)));
    // Other keys (backup, eval) belong to other programs that read this format.
    if (std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end()) {
      values_[key] = std::string(trim(line.text.substr(equals + 1)));
    }
  }
}

const std::string& DataFile::value(const std::string& key) const {
  const auto found = values_.find(key);
  SSDQ_CHECK_CONFIG(found != values_.end() && !found->second.empty(),
                    "{}: there is no line '{} = ...'", path_.string(), key);
  return found->second;
}

fs::path DataFile::path(const std::string& key) const {
  const fs::path given = value(key);
  std::error_code code;
  std::vector<std::string> tried;
  for (const fs::path& base : {fs::path(), path_.parent_path(), root_}) {
    fs::path candidate = base / given;
    if (fs::exists(candidate, code)) {
      return candidate;
    }
    if (std::find(tried.begin(), tried.end(), candidate.string()) == tried.end()) {
      tried.push_back(candidate.string());
    }
  }
  fail_config("{}: '{} = {}' does not exist (tried {})", path_.string(), key, given.string(),
              fmt::join(tried, ", "));
}

std::vector<std::string> read_class_names(const DataFile& data, const fs::path& data_path) {
  std::vector<std::string> names;
  const fs::path path = data.path("names");
  for (const TextLine& line : read_lines(path)) {
    names.push_back(line.text);
  }
  if (data.has("classes")) {
    const double classes = parse_number(data.value("classes")).value_or(-1);
    SSDQ_CHECK_CONFIG(classes == static_cast<double>(names.size()),
                      "{}: 'classes = {}', but {} names {} classes", data_path.string(),
                      data.value("classes"), path.string(), names.size());
  }
  SSDQ_CHECK_CONFIG(!names.empty(), "{}: names no class", path.string());
  return names;
}

class TxtReader {
 public:
  TxtReader(const DataFile& data, const std::vector<std::string>& classes, const std::string& what)
      : image_folder_(data.path("images")), files_(image_folder_, what), classes_(classes) {
    if (data.has("labels")) {
      label_folder_ = data.path("labels");
    }
  }

  LoadedImage read(const TextLine& entry, const std::string& list) const;

 private:
  fs::path label_path(const std::string& id, const fs::path& image_path) const;
  void read_labels(const fs::path& path, LoadedImage& image) const;
  void read_label(const TextLine& line, const fs::path& path, LoadedImage& image) const;

  fs::path image_folder_;
  fs::path label_folder_;
  ImageFiles files_;
  const std::vector<std::string>& classes_;
};

LoadedImage TxtReader::read(const TextLine& entry, const std::string& list) const {
  LoadedImage image;
  Record& record = image.record;
  record.image_id = is_image_extension(entry.text)
                        ? fs::path(entry.text).replace_extension().string()
                        : entry.text;
  std::optional<fs::path> path = files_.find(entry.text);
  std::error_code code;
  if (!path && fs::is_regular_file(entry.text, code)) {
    path = entry.text;
  }
  if (!path) {
    image.usable = false;
    image.add_problem(ProblemKind::kMissingImage,
                      fmt::format("{}:{}: image '{}' is not in {}", list, entry.number, entry.text,
                                  image_folder_.string()));
    return image;
  }
  record.image_path = path->string();
  const std::optional<Size2> size = read_image_size(*path);
  if (!size) {
    image.usable = false;
    image.add_problem(ProblemKind::kBrokenImage,
                      fmt::format("{}: not an image that can be read, so its labels have no size",
                                  path->string()));
    return image;
  }
  record.width = size->width;
  record.height = size->height;
  read_labels(label_path(record.image_id, *path), image);
  return image;
}

fs::path TxtReader::label_path(const std::string& id, const fs::path& image_path) const {
  if (label_folder_.empty()) {
    return fs::path(image_path).replace_extension(".txt");
  }
  std::error_code code;
  fs::path path = label_folder_ / (id + ".txt");
  return fs::exists(path, code) ? path : label_folder_ / (image_path.stem().string() + ".txt");
}

void TxtReader::read_labels(const fs::path& path, LoadedImage& image) const {
  std::error_code code;
  if (!fs::exists(path, code)) {
    return;
  }
  try {
    for (const TextLine& line : read_lines(path)) {
      read_label(line, path, image);
    }
  } catch (const Error& error) {
    image.add_problem(ProblemKind::kBadAnnotation, error.what());
  }
}

void TxtReader::read_label(const TextLine& line, const fs::path& path, LoadedImage& image) const {
  std::vector<double> numbers;
  std::string_view rest = line.text;
  bool is_valid = true;
  while (!rest.empty() && is_valid) {
    const std::size_t end = std::min(rest.find_first_of(" \t,"), rest.size());
    const std::optional<double> number = parse_number(rest.substr(0, end));
    is_valid = number.has_value();
    numbers.push_back(number.value_or(0));
    rest = trim(rest.substr(end));
  }
  if (!is_valid || numbers.size() != 5 || numbers[0] != static_cast<int>(numbers[0])) {
    image.add_problem(
        ProblemKind::kBadAnnotation,
        fmt::format("{}:{}: '{}' is not a label; expected 'class xc yc w h', the class "
                    "a whole number from 0, the others fractions of the image",
                    path.string(), line.number, line.text));
    return;
  }
  const int index = static_cast<int>(numbers[0]);
  if (index < 0 || index >= static_cast<int>(classes_.size())) {
    image.add_problem(
        ProblemKind::kUnknownClass,
        fmt::format("{}:{}: class {}, but the data set has the classes 0..{} ({})", path.string(),
                    line.number, index, classes_.size() - 1, list_names(classes_)));
    return;
  }
  const double width = image.record.width;
  const double height = image.record.height;
  Object object;
  object.label = index + 1;
  object.box = {static_cast<float>((numbers[1] - numbers[3] / 2) * width),
                static_cast<float>((numbers[2] - numbers[4] / 2) * height),
                static_cast<float>((numbers[1] + numbers[3] / 2) * width),
                static_cast<float>((numbers[2] + numbers[4] / 2) * height)};
  image.record.objects.push_back(object);
}

}  // namespace

std::unique_ptr<Dataset> open_txt(const std::string& name, const DatasetDefinition& definition,
                                  const OpenOptions& options) {
  const std::string what = "data set " + name;
  SSDQ_CHECK_CONFIG(!definition.annotations.empty(),
                    "{}: format txt needs ANNOTATIONS (a .data file) and SPLIT (train or valid)",
                    what);
  SSDQ_CHECK_CONFIG(definition.split == "train" || definition.split == "valid",
                    "{}: SPLIT is '{}'; format txt has train and valid", what, definition.split);
  const fs::path data_path = definition.annotations;
  std::error_code code;
  SSDQ_CHECK_CONFIG(fs::is_regular_file(data_path, code), "{}: there is no file {}", what,
                    data_path.string());
  const DataFile data(data_path, definition.root);
  std::vector<std::string> classes = read_class_names(data, data_path);
  const fs::path list = data.path(definition.split);
  const TxtReader reader(data, classes, what);
  const std::vector<TextLine> lines = read_lines(list);
  std::vector<LoadedImage> images(lines.size());
  tbb::parallel_for(std::size_t{0}, lines.size(),
                    [&](std::size_t i) { images[i] = reader.read(lines[i], list.string()); });
  return std::make_unique<RecordDataset>(
      RecordDataset::Info{name, "txt", list.string(), std::move(classes), {}, {}},
      std::move(images), options);
}

}  // namespace ssdq
