#pragma once

#include <map>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "ssdq/checkpoint/state.h"

namespace ssdq::testing {

// State dicts as other systems publish them, written down from their naming schemes with random
// values, and the means to run such a network straight from its state dict.
class PublishedNet {
 public:
  void conv(const std::string& module, int64_t out, int64_t in, int64_t kernel, bool bias);
  void batch_norm(const std::string& module, int64_t channels);
  void scale(const std::string& tensor, int64_t channels);
  void matrix(const std::string& module, int64_t out, int64_t in);

  // Of the tensors under those names.
  torch::Tensor run_conv(const torch::Tensor& x, const std::string& module, int64_t stride,
                         int64_t padding, int64_t dilation = 1) const;
  torch::Tensor run_batch_norm(const torch::Tensor& x, const std::string& module,
                               double eps = 1e-5) const;
  const torch::Tensor& at(const std::string& name) const { return tensors_.at(name); }
  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  void erase(const std::string& name) { tensors_.erase(name); }
  void set(const std::string& name, torch::Tensor tensor) { tensors_[name] = std::move(tensor); }

  // Sorted by name, so not in the network's order.
  State state() const { return {tensors_.begin(), tensors_.end()}; }

 private:
  std::map<std::string, torch::Tensor> tensors_;
};

// Raw outputs, box-major: [N, priors, values].
struct RawOutputs {
  torch::Tensor classes, boxes;
};

// The map of a head, [N, boxes * values, H, W], as [N, H * W * boxes, values].
torch::Tensor flat(const torch::Tensor& map, int64_t values);

// A convolution without bias and its batch norm.
void conv_bn(PublishedNet& net, const std::string& conv, const std::string& bn, int out, int in,
             int kernel);

PublishedNet lufficc_vgg300(int64_t classes);
RawOutputs run_lufficc_vgg300(const PublishedNet& net, const torch::Tensor& image, int64_t classes);

// The same network under the names of its Caffe original, whose first layer takes B, G, R.
PublishedNet caffe_vgg_ssd300(const PublishedNet& lufficc);

PublishedNet pytorch_ssd_mb2_lite(int64_t classes);
RawOutputs run_pytorch_ssd_mb2_lite(const PublishedNet& net, const torch::Tensor& image,
                                    int64_t classes);

// Ultra-Light's RFB-320; tensors that the network has not are made.
RawOutputs run_ultralight_rfb(PublishedNet& net, const torch::Tensor& image);

PublishedNet pytorch_ssd_mb1(int64_t classes, bool lite);
PublishedNet pytorch_ssd_vgg(int64_t classes);
PublishedNet lufficc_mobilenet_v2(int64_t classes);
PublishedNet pruning_fork_vgg_bn(int64_t classes);
PublishedNet nvidia_ssd_resnet50(int64_t classes);
PublishedNet vgg16_reducedfc();
PublishedNet torchvision_vgg16(bool batch_norm);
PublishedNet torchvision_resnet(const std::vector<int>& blocks, bool bottleneck);
PublishedNet torchvision_ssd300(int64_t classes);

PublishedNet ncnn_mobilenet_v2_ssdlite(int64_t classes);
RawOutputs run_ncnn_mobilenet_v2_ssdlite(const PublishedNet& net, const torch::Tensor& image,
                                         int64_t classes);

}  // namespace ssdq::testing
