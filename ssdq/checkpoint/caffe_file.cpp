#include "ssdq/checkpoint/caffe_file.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <torch/torch.h>
#include <opencv2/dnn.hpp>

#include "ssdq/checkpoint/caffe_layers.h"
#include "ssdq/checkpoint/input_file.h"
#include "ssdq/checkpoint/printable.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr uint64_t kMaxPrototxt = uint64_t{16} << 20;
constexpr uint64_t kMaxCaffemodel = std::numeric_limits<int32_t>::max();  // protobuf's own

std::string read_whole(const std::string& path, uint64_t most) {
  const InputFile file(path);
  SSDQ_CHECK(file.size() <= most, "{}: has {} bytes; expected at most {}", path, file.size(), most);
  std::string bytes(file.size(), '\0');
  file.read(bytes.data(), bytes.size(), 0);
  return bytes;
}

// Behind blanks, comments and a colon.
size_t value_start(const std::string& text, size_t at) {
  while ((at = text.find_first_not_of(" \t\r\n:", at)) != std::string::npos && text[at] == '#') {
    at = text.find('\n', at);
  }
  return at;
}

// OpenCV divides by these; a 0 would end the program.
void refuse_zeros(const std::string& path, const std::string& text) {
  for (const std::string field : {"num_output", "group"}) {
    for (size_t at = 0; (at = text.find(field, at)) != std::string::npos;) {
      at += field.size();
      const size_t start = value_start(text, at);
      if (start == std::string::npos) {
        break;
      }
      const char* number = text.c_str() + start;
      char* end = nullptr;
      const bool zero = std::strtoull(number, &end, 0) == 0 && end != number;
      SSDQ_CHECK(!zero, "{}: is damaged: a layer has {} 0; expected at least 1", path, field);
    }
  }
}

std::string read_prototxt(const std::string& path) {
  std::string text = read_whole(path, kMaxPrototxt);
  SSDQ_CHECK(!trim(text).empty() && text.find('\0') == std::string::npos,
             "{}: is not a prototxt; expected the text that describes the network's layers", path);
  refuse_zeros(path, text);
  return text;
}

torch::Tensor flat_values(const cv::Mat& blob) {
  SSDQ_CHECK(blob.type() == CV_32F && blob.isContinuous(), "OpenCV gave values of another type");
  return torch::from_blob(const_cast<float*>(blob.ptr<float>()),
                          {static_cast<int64_t>(blob.total())}, torch::kFloat)
      .clone();
}

// With the shape that it has in Caffe.
torch::Tensor weight_values(const std::string& type, const cv::Mat& blob) {
  const bool matrix = type == "InnerProduct" || blob.dims > 2;
  return matrix ? flat_values(blob).view(std::vector<int64_t>(blob.size.p, blob.size.p + blob.dims))
                : flat_values(blob);
}

class CaffeReader {
 public:
  CaffeReader(const std::string& caffemodel, const std::string& prototxt)
      : caffemodel_(caffemodel), prototxt_(prototxt) {}

  TensorFile run() {
    const std::string model = read_whole(caffemodel_, kMaxCaffemodel);
    const auto with_values = layers_with_values(caffemodel_, model);
    const std::string text = read_prototxt(prototxt_);
    auto net = guarded("the network", [&] {
      return cv::dnn::readNetFromCaffe(text.data(), text.size(), model.data(), model.size());
    });
    std::set<std::string> layers;
    for (const std::string& name : net.getLayerNames()) {
      SSDQ_CHECK(layers.insert(name).second, "{}: two layers are named '{}'", prototxt_,
                 printable(name));
      guarded(fmt::format("layer '{}'", printable(name)), [&] {
        take(name, *net.getLayer(net.getLayerId(name)));
        return 0;
      });
    }
    list_left_out(with_values, layers);
    return std::move(file_);
  }

 private:
  // The result of a call into OpenCV, whose exceptions become Error.
  template <typename Call>
  auto guarded(const std::string& what, const Call& call) const -> decltype(call()) {
    std::string problem;
    try {
      return call();
    } catch (const Error&) {
      throw;
    } catch (const cv::Exception& exception) {
      problem = exception.err;
    } catch (const std::exception& exception) {
      problem = exception.what();
    }
    fail("{}: OpenCV cannot read {} that {} describes: {}", caffemodel_, what, prototxt_,
         printable(problem));
  }

  void take(const std::string& name, const cv::dnn::Layer& layer) {
    const auto& blobs = layer.blobs;
    static const std::set<std::string> weighted = {"Convolution", "Deconvolution", "InnerProduct"};
    SSDQ_CHECK(!blobs.empty() || weighted.count(layer.type) == 0,
               "{}: has no weights for layer '{}' of {}; is that the prototxt of this file?",
               caffemodel_, printable(name), prototxt_);
    if (layer.type == "BatchNorm" && blobs.size() > 1) {
      const double factor = moving_average_factor(blobs);
      add(name + ".running_mean", flat_values(blobs[0]) / factor);
      add(name + ".running_var", flat_values(blobs[1]) / factor);
      return;
    }
    for (size_t i = 0; i < blobs.size(); ++i) {
      add(name + suffix(i), i == 0 ? weight_values(layer.type, blobs[i]) : flat_values(blobs[i]));
    }
  }

  // What Caffe divides the sums of a batch norm by; 0 stands for none.
  static double moving_average_factor(const std::vector<cv::Mat>& blobs) {
    const auto factor = blobs.size() > 2 ? flat_values(blobs[2]) : torch::Tensor();
    const double value = factor.defined() && factor.numel() > 0 ? factor[0].item<double>() : 1;
    return value == 0 ? 1 : value;
  }

  static std::string suffix(size_t blob) {
    return blob == 0 ? ".weight" : blob == 1 ? ".bias" : fmt::format(".blob{}", blob);
  }

  void add(const std::string& name, const torch::Tensor& tensor) {
    file_.tensors.emplace_back(name, tensor);
  }

  void list_left_out(const std::vector<std::string>& with_values,
                     const std::set<std::string>& layers) {
    std::vector<std::string> left_out;
    for (const std::string& name : with_values) {
      if (layers.count(name) == 0) {
        left_out.push_back(printable(name));
      }
    }
    if (!left_out.empty()) {
      file_.metadata["left_out"] = join(left_out, ",");
    }
  }

  const std::string& caffemodel_;
  const std::string& prototxt_;
  TensorFile file_;
};

}  // namespace

TensorFile read_caffe(const std::string& caffemodel, const std::string& prototxt) {
  return CaffeReader(caffemodel, prototxt).run();
}

}  // namespace ssdq
