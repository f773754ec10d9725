#include "ssdq/checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr size_t kMaxDimensions = 64;  // as many as LibTorch's kernels take

const std::array<std::pair<const char*, torch::ScalarType>, 10> kDtypes{{
    {"F32", torch::kFloat32},
    {"F64", torch::kFloat64},
    {"F16", torch::kFloat16},
    {"BF16", torch::kBFloat16},
    {"I64", torch::kInt64},
    {"I32", torch::kInt32},
    {"I16", torch::kInt16},
    {"I8", torch::kInt8},
    {"U8", torch::kUInt8},
    {"BOOL", torch::kBool},
}};

// Takes the parser's events instead of a document tree: memory stays in proportion to what is
// kept, repeated names are seen, and nothing deeper than the format has is accepted.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string path) : path_(std::move(path)) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(size_t /*elements*/) override {
    if (depth_ == 1) {
      start_member();
    } else if (depth_ != 0) {
      reject("a nested object");
    }
    ++depth_;
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ == 1 && !in_metadata_) {
      finish_entry();
    }
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 1) {
      SSDQ_CHECK(names_.insert(name).second, "{}: damaged file: two tensors named '{}'", path_,
                 shorten(name));
      name_ = name;
    } else {
      key_ = name;
    }
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (depth_ != 2 || in_metadata_ || (key_ != "shape" && key_ != "data_offsets")) {
      reject("an array");
    }
    auto& numbers = key_ == "shape" ? shape_ : offsets_;
    if (numbers) {
      reject("a repeated key");
    }
    numbers.emplace();
    ++depth_;
    return true;
  }

  bool end_array() override {
    --depth_;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) {
      reject("a number");
    }
    auto& numbers = key_ == "shape" ? *shape_ : *offsets_;
    if (numbers.size() >= kMaxDimensions) {
      reject("a longer list");
    }
    numbers.push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      header_.metadata[key_] = value;
    } else if (depth_ == 2 && key_ == "dtype" && dtype_.empty() && !value.empty()) {
      dtype_ = value;
    } else {
      reject("a string");
    }
    return true;
  }

  bool null() override { return reject("null"); }
  bool boolean(bool /*value*/) override { return reject("a boolean"); }
  bool number_integer(number_integer_t /*value*/) override { return reject("a negative number"); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return reject("a number that is not whole");
  }
  bool binary(binary_t& /*value*/) override { return reject("binary data"); }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    fail("{}: damaged file: its header is not JSON (byte {})", path_, position + 8);
  }

 private:
  static std::string shorten(const std::string& name) {
    std::string text = name.substr(0, 80);
    // Control characters of a hostile name have no business on a terminal.
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; }, '?');
    return text;
  }

  bool reject(const char* what) const {
    fail("{}: damaged file: the header has {} where the safetensors format has none (at '{}')",
         path_, what, shorten(name_));
  }

  void start_member() {
    in_metadata_ = name_ == "__metadata__";
    key_.clear();
    dtype_.clear();
    shape_.reset();
    offsets_.reset();
  }

  void finish_entry() {
    const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                     [&](const auto& dtype) { return dtype_ == dtype.first; });
    SSDQ_CHECK(shape_ && offsets_ && offsets_->size() == 2 && !dtype_.empty(),
               "{}: damaged file: tensor '{}' lacks its dtype, shape or data_offsets", path_,
               shorten(name_));
    SSDQ_CHECK(found != kDtypes.end(), "{}: tensor '{}' has the type {}, which SSDQ does not read",
               path_, shorten(name_), shorten(dtype_));
    SafetensorsEntry entry{name_, found->second, {}, (*offsets_)[0], (*offsets_)[1]};
    // The product with zeros taken as ones bounds the strides that LibTorch computes.
    int64_t span = static_cast<int64_t>(torch::elementSize(entry.dtype));
    bool overflow = false;
    for (const uint64_t size : *shape_) {
      overflow =
          overflow || size > std::numeric_limits<int64_t>::max() ||
          __builtin_mul_overflow(span, static_cast<int64_t>(std::max<uint64_t>(size, 1)), &span);
      entry.shape.push_back(static_cast<int64_t>(size));
    }
    const bool empty = std::count(shape_->begin(), shape_->end(), 0U) > 0;
    const uint64_t bytes = empty ? 0 : static_cast<uint64_t>(span);
    SSDQ_CHECK(!overflow && entry.begin <= entry.end && entry.end - entry.begin == bytes,
               "{}: damaged file: tensor '{}' of shape [{}] does not fit its data_offsets {}..{}",
               path_, shorten(name_), fmt::join(*shape_, ", "), entry.begin, entry.end);
    header_.entries.push_back(std::move(entry));
  }

  std::string path_;
  SafetensorsHeader header_;
  std::set<std::string> names_;
  int depth_ = 0;
  bool in_metadata_ = false;
  std::string name_;  // of the tensor or "__metadata__"
  std::string key_;   // inside it
  std::string dtype_;
  std::optional<std::vector<uint64_t>> shape_;
  std::optional<std::vector<uint64_t>> offsets_;
};

void check_coverage(const std::string& path, const SafetensorsHeader& header, uint64_t data_bytes) {
  std::vector<const SafetensorsEntry*> sorted;
  for (const auto& entry : header.entries) {
    sorted.push_back(&entry);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t covered = 0;
  for (const auto* entry : sorted) {
    SSDQ_CHECK(entry->begin == covered,
               "{}: damaged file: its tensors overlap or leave a hole at byte {} of the data", path,
               std::min(entry->begin, covered));
    covered = entry->end;
  }
  SSDQ_CHECK(covered <= data_bytes,
             "{}: the file is truncated: its tensors need {} bytes and {} are there", path, covered,
             data_bytes);
  SSDQ_CHECK(covered == data_bytes,
             "{}: damaged file: {} bytes after the last tensor belong to nothing", path,
             data_bytes - covered);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view json,
                                           uint64_t data_bytes) {
  HeaderReader reader(path);
  nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  SafetensorsHeader header = reader.take();
  check_coverage(path, header, data_bytes);
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  std::string text = "{\"__metadata__\":";
  text += nlohmann::json(header.metadata)
              .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (const auto& entry : header.entries) {
    try {
      text += fmt::format(",{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          nlohmann::json(entry.name).dump(), safetensors_dtype(entry.dtype),
                          fmt::join(entry.shape, ","), entry.begin, entry.end);
    } catch (const nlohmann::json::exception&) {
      fail("a tensor's name is not valid UTF-8");
    }
  }
  return text + "}";
}

std::string safetensors_dtype(torch::ScalarType dtype) {
  for (const auto& [name, type] : kDtypes) {
    if (type == dtype) {
      return name;
    }
  }
  return "";
}

}  // namespace ssdq
