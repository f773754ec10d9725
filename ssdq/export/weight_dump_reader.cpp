#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <torch/types.h>
#include <nlohmann/json.hpp>

#include "ssdq/checkpoint/printable.h"
#include "ssdq/checkpoint/zip_archive.h"
#include "ssdq/export/weight_dump.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t kMaxDimensions = 64;  // as many as LibTorch's kernels take

std::string manifest_path(const std::string& path) {
  if (fs::is_directory(path)) {
    return (fs::path(path) / "manifest.json").string();
  }
  return ends_with(path, ".json") ? path : path + ".json";
}

// How the numbers of a dump are written.
struct Encoding {
  bool binary = true;
  bool big_endian = false;
  bool fixed = false;
  int bits = 32;
  size_t value_bytes = 4;
};

// The numbers of a data file before they are scaled.
using Values = std::vector<double>;

class DumpReader {
 public:
  explicit DumpReader(const std::string& path) : path_(manifest_path(path)) {}

  State read() {
    const std::string text = read_file(path_);
    try {
      manifest_ = json::parse(text);
      check(manifest_.at("format") == "ssdq-weights", "its format is not ssdq-weights");
      check(manifest_.at("version") == 1, "its version is not 1, the one that this program knows");
      read_encoding();
      read_files();
      State state;
      for (const json& entry : manifest_.at("tensors")) {
        auto name = name_of(entry);
        state.emplace_back(std::move(name), read_tensor(entry));
      }
      for (const auto& [name, file] : files_) {
        check(file.used == file.values.size(), "file '{}' has {} values and its tensors {}",
              printable(name), file.values.size(), file.used);
      }
      for (const json& entry : manifest_.value("integers", json::array())) {
        auto name = name_of(entry);
        state.emplace_back(std::move(name), read_integers(entry));
      }
      return state;
    } catch (const json::exception& error) {
      fail("{}: damaged manifest: {}", path_, printable(error.what()));
    }
  }

 private:
  struct File {
    Values values;
    size_t used = 0;
  };

  template <typename... Args>
  void check(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) {
      fail("{}: damaged manifest: {}", path_, fmt::format(format, std::forward<Args>(args)...));
    }
  }

  size_t whole(const json& value, size_t most, const char* what) const {
    check(value.is_number_unsigned() && value.get<uint64_t>() <= most,
          "{} must be a whole number up to {}", what, most);
    return value.get<size_t>();
  }

  std::string word(const char* key, const char* first, const char* second) const {
    const auto value = manifest_.at(key).get<std::string>();
    check(value == first || value == second, "{} must be '{}' or '{}'", key, first, second);
    return value;
  }

  void read_encoding() {
    encoding_.binary = word("encoding", "binary", "text") == "binary";
    encoding_.fixed = word("type", "fixed", "float32") == "fixed";
    if (encoding_.binary) {
      encoding_.big_endian = word("endianness", "little", "big") == "big";
    }
    if (encoding_.fixed) {
      encoding_.bits = static_cast<int>(whole(manifest_.at("bits"), 32, "bits"));
      check(encoding_.bits >= 1, "bits must be at least 1");
      whole(manifest_.at("fraction_bits"), 62, "fraction_bits");
      const size_t bytes = encoding_.binary ? whole(manifest_.at("value_bytes"), 4, "value_bytes")
                                            : encoding_.value_bytes;
      check((bytes == 1 || bytes == 2 || bytes == 4) &&
                bytes * 8 >= static_cast<size_t>(encoding_.bits),
            "value_bytes must be 1, 2 or 4 and hold the bits");
      encoding_.value_bytes = bytes;
    }
  }

  void read_files() {
    const std::string folder = path_.substr(0, path_.rfind('/') + 1);
    for (const json& entry : manifest_.at("files")) {
      const auto name = entry.at("name").get<std::string>();
      check(!name.empty() && name != ".." && name != "." &&
                name.find_first_of(std::string("/\\\0", 3)) == std::string::npos,
            "'{}' is not the name of a file beside it", printable(name));
      check(files_.count(name) == 0, "two files are named '{}'", printable(name));
      const std::string bytes = read_file(folder + name);
      if (entry.contains("crc32")) {
        SSDQ_CHECK(entry.at("crc32") == fmt::format("{:08x}", zip_crc32(bytes)),
                   "{}: its checksum is not that of {}; if another program has rewritten the "
                   "numbers, remove crc32 from the manifest",
                   folder + name, path_);
      }
      files_[name].values = encoding_.binary ? binary_values(folder + name, bytes)
                                             : text_values(folder + name, bytes);
    }
  }

  Values binary_values(const std::string& path, const std::string& bytes) const {
    const size_t size = encoding_.value_bytes;
    SSDQ_CHECK(bytes.size() % size == 0, "{}: {} bytes are no whole number of values of {} bytes",
               path, bytes.size(), size);
    Values values(bytes.size() / size);
    for (size_t i = 0; i < values.size(); ++i) {
      uint32_t raw = 0;
      for (size_t k = 0; k < size; ++k) {
        const size_t at = i * size + (encoding_.big_endian ? size - 1 - k : k);
        raw |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at])) << (8 * k);
      }
      values[i] = encoding_.fixed ? code_of(raw, size) : real_of(raw);
      check_value(path, values[i], i);
    }
    return values;
  }

  static double code_of(uint32_t raw, size_t size) {
    const auto shift = static_cast<unsigned>(32 - 8 * size);
    return static_cast<double>(static_cast<int32_t>(raw << shift) >> shift);
  }

  static double real_of(uint32_t raw) {
    float value = 0;
    std::memcpy(&value, &raw, sizeof value);
    return static_cast<double>(value);
  }

  Values text_values(const std::string& path, const std::string& text) const {
    constexpr const char* kBlank = " \t\r\n";
    Values values;
    for (size_t at = text.find_first_not_of(kBlank); at != std::string::npos;
         at = text.find_first_not_of(kBlank, at)) {
      const size_t end = std::min(text.find_first_of(kBlank, at), text.size());
      double value = 0;
      const auto result = std::from_chars(text.data() + at, text.data() + end, value);
      SSDQ_CHECK(result.ec == std::errc() && result.ptr == text.data() + end,
                 "{}: value {} is '{}', which is no number", path, values.size() + 1,
                 printable(text.substr(at, std::min<size_t>(end - at, 40))));
      check_value(path, value, values.size());
      values.push_back(value);
      at = end;
    }
    return values;
  }

  void check_value(const std::string& path, double value, size_t index) const {
    SSDQ_CHECK(std::isfinite(value), "{}: value {} is not finite", path, index + 1);
    const double end = std::ldexp(1.0, encoding_.bits - 1);
    SSDQ_CHECK(!encoding_.fixed || (value == std::floor(value) && value >= -end && value < end),
               "{}: value {} is {}; expected a whole number of {} bits", path, index + 1, value,
               encoding_.bits);
  }

  std::string name_of(const json& entry) {
    auto name = entry.at("name").get<std::string>();
    check(names_.insert(name).second, "two tensors are named '{}'", printable(name));
    return name;
  }

  static std::string label(const json& entry) {
    return printable(entry.at("name").get<std::string>());
  }

  // Its product is at most `most`.
  std::vector<int64_t> shape_of(const json& entry, size_t most) const {
    std::vector<int64_t> shape;
    size_t product = 1;
    for (const json& side : entry.at("shape")) {
      const size_t length = whole(side, most, "a side of a shape");
      check(shape.size() < kMaxDimensions, "a shape has more than {} sides", kMaxDimensions);
      check(length == 0 || product <= most / length, "a shape is larger than its data");
      product *= length;
      shape.push_back(static_cast<int64_t>(length));
    }
    return shape;
  }

  torch::Tensor read_tensor(const json& entry) {
    const auto name = entry.at("file").get<std::string>();
    check(files_.count(name) == 1, "no file is named '{}'", printable(name));
    File& file = files_.at(name);
    const size_t size = encoding_.binary ? encoding_.value_bytes : 1;
    const size_t total = file.values.size();
    const size_t count = whole(entry.at("count"), total, "count");
    const size_t offset = whole(entry.at("offset"), total * size, "offset");
    check(offset % size == 0 && offset / size <= total - count,
          "tensor '{}' reaches past the end of '{}'", label(entry), printable(name));
    check(count <= total - file.used, "the tensors of '{}' overlap", printable(name));
    file.used += count;
    const auto tensor = torch::empty(shape_of(entry, count), torch::kFloat);
    check(static_cast<size_t>(tensor.numel()) == count, "tensor '{}' has another shape than count",
          label(entry));
    const int fraction = encoding_.fixed
                             ? static_cast<int>(whole(entry.contains("fraction_bits")
                                                          ? entry.at("fraction_bits")
                                                          : manifest_.at("fraction_bits"),
                                                      62, "fraction_bits"))
                             : 0;
    auto* data = tensor.data_ptr<float>();
    for (size_t i = 0; i < count; ++i) {
      data[i] = static_cast<float>(std::ldexp(file.values[offset / size + i], -fraction));
    }
    return tensor;
  }

  torch::Tensor read_integers(const json& entry) const {
    const json& values = entry.at("values");
    const auto tensor = torch::empty(shape_of(entry, values.size()), torch::kLong);
    check(static_cast<size_t>(tensor.numel()) == values.size(),
          "'{}' has another shape than values", label(entry));
    for (size_t i = 0; i < values.size(); ++i) {
      check(values[i].is_number_integer(), "'{}' holds what is no whole number", label(entry));
      tensor.data_ptr<int64_t>()[i] = values[i].get<int64_t>();
    }
    return tensor;
  }

  std::string path_;
  json manifest_;
  Encoding encoding_;
  std::map<std::string, File> files_;
  std::set<std::string> names_;
};

}  // namespace

State read_weight_dump(const std::string& path) { return DumpReader(path).read(); }

}  // namespace ssdq
