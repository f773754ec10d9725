#include "ssdq/data/check.h"

#include <algorithm>
#include <memory>
#include <set>
#include <tuple>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <turbojpeg.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>

#include "ssdq/data/box_policy.h"
#include "ssdq/data/datasets/text_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Result of decoding: pixels, or why not.
struct Decoded {
  Size2 size;
  std::string error;
};

// libjpeg-turbo rather than OpenCV, which fills the missing part of a truncated JPEG with grey.
Decoded decode_jpeg(const std::string& bytes) {
  struct Destroy {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  const std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto count = static_cast<unsigned long>(bytes.size());
  Decoded result;
  int subsampling = 0;
  int colorspace = 0;
  const bool has_header = tjDecompressHeader3(handle.get(), data, count, &result.size.width,
                                              &result.size.height, &subsampling, &colorspace) == 0;
  if (!has_header) {
    result.error = tjGetErrorStr2(handle.get());
    return result;
  }
  const bool is_cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
  const int format = is_cmyk ? TJPF_CMYK : TJPF_GRAY;
  std::vector<unsigned char> pixels(static_cast<std::size_t>(result.size.width) *
                                    static_cast<std::size_t>(result.size.height) *
                                    static_cast<std::size_t>(tjPixelSize[format]));
  if (tjDecompress2(handle.get(), data, count, pixels.data(), result.size.width, 0,
                    result.size.height, format, 0) != 0) {
    result.error = tjGetErrorStr2(handle.get());
  }
  return result;
}

Decoded decode(const std::string& path) {
  try {
    const std::string bytes = read_text(path);
    if (bytes.rfind("\xFF\xD8", 0) == 0) {
      return decode_jpeg(bytes);
    }
    if (bytes.empty()) {
      return {{}, "the file is empty"};
    }
    const cv::Mat buffer(1, static_cast<int>(bytes.size()), CV_8U,
                         const_cast<char*>(bytes.data()));  // imdecode only reads it
    const cv::Mat image =
        cv::imdecode(buffer, cv::IMREAD_UNCHANGED | cv::IMREAD_IGNORE_ORIENTATION);
    return image.empty() ? Decoded{{}, "not an image of a known format, or cut off"}
                         : Decoded{{image.rows, image.cols}, ""};
  } catch (const cv::Exception& error) {
    return {{}, error.err};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

std::string text_of(const Box& box) {
  return fmt::format("({}, {}, {}, {})", box.x1, box.y1, box.x2, box.y2);
}

void check_image(const Record& record, const Decoded& image, std::vector<Problem>& problems) {
  if (!image.error.empty()) {
    problems.push_back({ProblemKind::kBrokenImage, record.image_id,
                        fmt::format("{}: {}", record.image_path, image.error)});
    return;
  }
  const bool size_differs = (record.width != 0 && record.width != image.size.width) ||
                            (record.height != 0 && record.height != image.size.height);
  if (size_differs) {
    problems.push_back(
        {ProblemKind::kSizeMismatch, record.image_id,
         fmt::format("{}: the image has {}x{} pixels, its annotation says {}x{}", record.image_path,
                     image.size.width, image.size.height, record.width, record.height)});
  }
}

void check_objects(const Record& record, Size2 image_size,
                   const std::vector<std::string>& class_names, std::vector<Problem>& problems) {
  std::set<std::tuple<int, float, float, float, float>> seen;
  int number = 0;
  for (const Object& object : record.objects) {
    ++number;
    const Box& box = object.box;
    const std::string where =
        fmt::format("{}: object {} ({}), box {}", record.image_path, number,
                    class_names[static_cast<std::size_t>(object.label - 1)], text_of(box));
    if (const std::optional<BoxFault> fault = find_box_fault(box, image_size)) {
      const bool is_outside = *fault == BoxFault::kOutside || *fault == BoxFault::kPartlyOutside;
      problems.push_back({is_outside ? ProblemKind::kOutsideBox : ProblemKind::kDegenerateBox,
                          record.image_id, fmt::format("{}, {}", where, describe(*fault))});
    }
    if (!seen.emplace(object.label, box.x1, box.y1, box.x2, box.y2).second) {
      problems.push_back({ProblemKind::kDuplicateObject, record.image_id,
                          fmt::format("{}, is there twice", where)});
    }
  }
  if (record.objects.empty()) {
    problems.push_back({ProblemKind::kEmptyImage, record.image_id,
                        fmt::format("{}: no object", record.image_path)});
  }
}

void count_objects(const Dataset& dataset, CheckReport& report) {
  report.objects_per_class.assign(report.class_names.size(), 0);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    for (const Object& object : dataset.record(i).objects) {
      ++report.num_objects;
      ++report.objects_per_class[static_cast<std::size_t>(object.label - 1)];
    }
  }
}

}  // namespace

std::string describe(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::kBadAnnotation:
      return "unreadable annotation";
    case ProblemKind::kMissingAnnotation:
      return "missing annotation";
    case ProblemKind::kOrphanAnnotation:
      return "annotation of an unlisted image";
    case ProblemKind::kUnknownClass:
      return "unknown class";
    case ProblemKind::kMissingImage:
      return "missing image";
    case ProblemKind::kBrokenImage:
      return "broken image";
    case ProblemKind::kSizeMismatch:
      return "size other than annotated";
    case ProblemKind::kDegenerateBox:
      return "degenerate box";
    case ProblemKind::kOutsideBox:
      return "box out of the image";
    case ProblemKind::kDuplicateObject:
      return "duplicate object";
    case ProblemKind::kDuplicateImage:
      return "duplicate image";
    case ProblemKind::kEmptyImage:
      return "image without objects";
  }
  return "";
}

bool is_note(ProblemKind kind) { return kind == ProblemKind::kEmptyImage; }

std::map<ProblemKind, int64_t> CheckReport::counts() const {
  std::map<ProblemKind, int64_t> result;
  for (const Problem& problem : problems) {
    ++result[problem.kind];
  }
  return result;
}

bool CheckReport::clean() const {
  return std::all_of(problems.begin(), problems.end(),
                     [](const Problem& problem) { return is_note(problem.kind); });
}

CheckReport check_dataset(const DatasetCatalog& catalog, const std::string& name, int num_threads) {
  CheckReport report;
  report.dataset = name;
  OpenOptions options;
  options.on_problem = [&report](const Problem& problem) { report.problems.push_back(problem); };
  tbb::task_arena arena(num_threads > 0 ? num_threads : tbb::task_arena::automatic);
  arena.execute([&] {
    const std::unique_ptr<Dataset> dataset = catalog.open(name, options);
    report.format = dataset->format();
    report.class_names = dataset->class_names();
    report.num_images = dataset->size();
    count_objects(*dataset, report);
    std::vector<std::vector<Problem>> found(static_cast<std::size_t>(dataset->size()));
    tbb::parallel_for(std::size_t{0}, found.size(), [&](std::size_t i) {
      const Record record = dataset->record(static_cast<int64_t>(i));
      const Decoded image = decode(record.image_path);
      check_image(record, image, found[i]);
      const Size2 size = image.error.empty() ? image.size : Size2{record.height, record.width};
      check_objects(record, size, report.class_names, found[i]);
    });
    for (std::vector<Problem>& problems : found) {
      std::move(problems.begin(), problems.end(), std::back_inserter(report.problems));
    }
  });
  return report;
}

std::string to_json(const std::vector<CheckReport>& reports) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const CheckReport& report : reports) {
    nlohmann::ordered_json entry{{"dataset", report.dataset},
                                 {"format", report.format},
                                 {"images", report.num_images},
                                 {"objects", report.num_objects},
                                 {"clean", report.clean()}};
    entry["classes"] = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < report.class_names.size(); ++i) {
      entry["classes"][report.class_names[i]] = report.objects_per_class[i];
    }
    entry["counts"] = nlohmann::ordered_json::object();
    for (const auto& [kind, count] : report.counts()) {
      entry["counts"][describe(kind)] = count;
    }
    entry["problems"] = nlohmann::ordered_json::array();
    for (const Problem& problem : report.problems) {
      entry["problems"].push_back({{"kind", describe(problem.kind)},
                                   {"image", problem.image_id},
                                   {"message", problem.message}});
    }
    all.push_back(std::move(entry));
  }
  return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ssdq
