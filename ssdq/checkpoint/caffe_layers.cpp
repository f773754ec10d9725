#include "ssdq/checkpoint/caffe_layers.h"

#include <algorithm>
#include <cstdint>

#include "ssdq/checkpoint/printable.h"
#include "ssdq/checkpoint/protobuf_reader.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr uint64_t kLeastValueBytes = 2;  // of a half-precision number

// Field numbers of caffe.proto: a network holds layers of the present form, or of the one before.
struct LayerForm {
  uint64_t field, name, blobs;
};
constexpr LayerForm kLayer{100, 1, 7};
constexpr LayerForm kLayerV1{2, 4, 6};
constexpr uint64_t kLayerV0 = 1;  // in a layer of the form before: one of the very first form
constexpr uint64_t kBlobShape = 7;
constexpr uint64_t kLastLegacySide = 4;  // 1..4: number, channels, height, width

// Multiplies, and stays at `limit + 1` once it is above the limit.
void multiply(uint64_t& product, uint64_t factor, uint64_t limit) {
  factor = std::max<uint64_t>(factor, 1);
  product = product > limit / factor ? limit + 1 : product * factor;
}

class LayerScan {
 public:
  LayerScan(const std::string& path, std::string_view bytes) : path_(path), bytes_(bytes) {}

  std::vector<std::string> run() {
    bool any = false;
    each(bytes_, [&](const ProtobufField& field) {
      for (const LayerForm& form : {kLayer, kLayerV1}) {
        if (field.number == form.field && !field.integer) {
          any = true;
          layer(form, field.bytes);
        }
      }
    });
    if (!any) {
      refuse();
    }
    return std::move(names_);
  }

 private:
  [[noreturn]] void refuse() const {
    fail("{}: is not a .caffemodel, or is damaged; expected a protocol buffers message of layers",
         path_);
  }

  template <typename Visit>
  void each(std::string_view message, const Visit& visit) {
    ProtobufReader reader(message);
    ProtobufField field;
    while (reader.next(field)) {
      visit(field);
    }
    if (!reader.complete()) {
      refuse();
    }
  }

  void layer(const LayerForm& form, std::string_view message) {
    std::string_view name;
    bool values = false;
    each(message, [&](const ProtobufField& field) {
      SSDQ_CHECK(form.field == kLayer.field || field.number != kLayerV0,
                 "{}: its layers are of the form before 2014; bring it to the present one with "
                 "Caffe's upgrade_net_proto_binary",
                 path_);
      if (field.number == form.name) {
        name = field.bytes;
      } else if (field.number == form.blobs && !field.integer) {
        values = true;
        blob(name, field.bytes);
      }
    });
    if (values) {
      names_.emplace_back(name);
    }
  }

  void blob(std::string_view layer, std::string_view message) {
    const uint64_t limit = message.size() / kLeastValueBytes;
    uint64_t legacy = 1, count = 1;
    each(message, [&](const ProtobufField& field) {
      if (field.number <= kLastLegacySide && field.integer) {
        multiply(legacy, field.value, limit);
      } else if (field.number == kBlobShape && !field.integer) {
        shape(field.bytes, count, limit);
      }
    });
    SSDQ_CHECK(legacy <= limit && count <= limit,
               "{}: layer '{}' is damaged: a blob of {} bytes cannot hold the values of its shape",
               path_, printable(layer), message.size());
  }

  void shape(std::string_view message, uint64_t& count, uint64_t limit) {
    each(message, [&](const ProtobufField& field) {
      if (field.integer) {
        multiply(count, field.value, limit);
        return;
      }
      ProtobufReader packed(field.bytes);
      uint64_t side = 0;
      while (packed.integer(side)) {
        multiply(count, side, limit);
      }
    });
  }

  const std::string& path_;
  std::string_view bytes_;
  std::vector<std::string> names_;
};

}  // namespace

std::vector<std::string> layers_with_values(const std::string& path, std::string_view bytes) {
  return LayerScan(path, bytes).run();
}

}  // namespace ssdq
