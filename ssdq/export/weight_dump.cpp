#include "ssdq/export/weight_dump.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <torch/types.h>
#include <nlohmann/json.hpp>

#include "ssdq/checkpoint/zip_archive.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

using Json = nlohmann::ordered_json;

// One data file while it is put together.
struct DataFile {
  std::string name;  // beside the manifest
  std::string bytes;
  size_t values = 0;
};

template <typename Number>
void append(std::string& bytes, Number value, bool big_endian, size_t size = sizeof(Number)) {
  char raw[sizeof(Number)];
  std::memcpy(raw, &value, sizeof value);
  if (big_endian) {
    std::reverse(raw, raw + size);
  }
  bytes.append(raw, size);
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

class DumpWriter {
 public:
  DumpWriter(const std::string& path, const DumpOptions& options) : path_(path), options_(options) {
    SSDQ_CHECK_CONFIG(!path.empty(), "no file to write a dump to");
    const std::string suffix = options.binary ? ".bin" : ".txt";
    if (is_folder()) {
      files_ = {{"weights" + suffix, {}}, {"bias" + suffix, {}}};
    } else {
      files_ = {{file_name(path), {}}};
    }
  }

  void add(const std::string& name, const torch::Tensor& tensor) {
    if (!tensor.is_floating_point()) {
      add_integers(name, tensor.detach().to(torch::kCPU, torch::kLong).contiguous());
      return;
    }
    DataFile& file = files_[is_folder() && name.find("weight") == std::string::npos ? 1 : 0];
    const torch::Tensor plain = tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
    const size_t offset = options_.binary ? file.bytes.size() : file.values;
    const size_t saturated = report_.saturated, count = static_cast<size_t>(plain.numel());
    for (size_t i = 0; i < count; ++i) {
      const float value = plain.data_ptr<float>()[i];
      SSDQ_CHECK(std::isfinite(value), "{}: cannot write tensor '{}': it holds an infinity or NaN",
                 path_, name);
      append_value(file.bytes, value);
    }
    file.values += count;
    report_.values += count;
    Json entry = {{"name", name},
                  {"shape", plain.sizes().vec()},
                  {"file", file.name},
                  {"offset", offset},
                  {"count", count}};
    if (options_.fixed_point) {
      entry["saturated"] = report_.saturated - saturated;
    }
    tensors_.push_back(std::move(entry));
  }

  DumpReport finish(const std::map<std::string, std::string>& metadata) {
    const std::string folder = path_.substr(0, path_.rfind('/') + 1);
    if (!folder.empty()) {
      make_directories(folder);
    }
    Json manifest = header(metadata);
    for (const DataFile& file : files_) {
      write_file_atomically(folder + file.name, file.bytes);
      manifest["files"].push_back({{"name", file.name},
                                   {"bytes", file.bytes.size()},
                                   {"values", file.values},
                                   {"crc32", fmt::format("{:08x}", zip_crc32(file.bytes))}});
    }
    manifest["tensors"] = std::move(tensors_);
    manifest["integers"] = std::move(integers_);
    write_file_atomically(is_folder() ? path_ + "manifest.json" : path_ + ".json",
                          manifest.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
    return report_;
  }

 private:
  bool is_folder() const { return path_.back() == '/'; }

  void append_value(std::string& bytes, float value) {
    if (!options_.fixed_point) {
      if (options_.binary) {
        append(bytes, value, options_.big_endian);
      } else {
        fmt::format_to(std::back_inserter(bytes), "{}\n", value);
      }
      return;
    }
    const int64_t code = to_fixed_point(value, *options_.fixed_point, report_.saturated);
    if (options_.binary) {
      append(bytes, code, options_.big_endian, static_cast<size_t>(options_.fixed_point->bytes()));
    } else {
      fmt::format_to(std::back_inserter(bytes), "{}\n", code);
    }
  }

  void add_integers(const std::string& name, const torch::Tensor& tensor) {
    const auto* data = tensor.data_ptr<int64_t>();
    integers_.push_back({{"name", name},
                         {"shape", tensor.sizes().vec()},
                         {"values", std::vector<int64_t>(data, data + tensor.numel())}});
  }

  Json header(const std::map<std::string, std::string>& metadata) const {
    Json manifest = {{"format", "ssdq-weights"},
                     {"version", 1},
                     {"producer", std::string("SSDQ ") + SSDQ_VERSION},
                     {"encoding", options_.binary ? "binary" : "text"},
                     {"type", options_.fixed_point ? "fixed" : "float32"}};
    if (options_.binary) {
      manifest["endianness"] = options_.big_endian ? "big" : "little";
    }
    if (options_.fixed_point) {
      manifest["fixed_point"] = to_string(*options_.fixed_point);
      manifest["bits"] = options_.fixed_point->bits();
      manifest["fraction_bits"] = options_.fixed_point->fraction_bits;
      manifest["value_bytes"] = options_.fixed_point->bytes();
      manifest["saturated"] = report_.saturated;
    }
    manifest["metadata"] = metadata;
    manifest["files"] = Json::array();
    return manifest;
  }

  std::string path_;
  DumpOptions options_;
  std::vector<DataFile> files_;
  Json tensors_ = Json::array(), integers_ = Json::array();
  DumpReport report_;
};

}  // namespace

DumpReport write_weight_dump(const std::string& path, const State& state,
                             const DumpOptions& options,
                             const std::map<std::string, std::string>& metadata) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "append() starts from little-endian");
  DumpWriter writer(path, options);
  for (const auto& [name, tensor] : state) {
    writer.add(name, tensor);
  }
  return writer.finish(metadata);
}

}  // namespace ssdq
