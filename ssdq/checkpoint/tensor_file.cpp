#include "ssdq/checkpoint/tensor_file.h"

#include "ssdq/checkpoint/darknet_file.h"
#include "ssdq/checkpoint/file_kind.h"
#include "ssdq/checkpoint/ncnn_file.h"
#include "ssdq/checkpoint/pytorch_file.h"
#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

void refuse_caffe(const std::string& path) {
  SSDQ_CHECK(!is_caffe_file(path),
             "{}: a .caffemodel is nothing without the prototxt that describes its layers; convert "
             "it with import_weights --prototxt",
             path);
}

}  // namespace

TensorFile read_tensor_file(const std::string& path) {
  refuse_caffe(path);
  return is_darknet_file(path)   ? read_darknet(path)
         : is_ncnn_file(path)    ? read_ncnn(path)
         : is_pytorch_file(path) ? read_pytorch(path)
                                 : read_safetensors(path);
}

TensorFile read_tensor_file_header(const std::string& path) {
  refuse_caffe(path);
  return is_darknet_file(path)   ? read_darknet(path)
         : is_ncnn_file(path)    ? read_ncnn_header(path)
         : is_pytorch_file(path) ? read_pytorch_header(path)
                                 : read_safetensors_header(path);
}

}  // namespace ssdq
