#pragma once

#include <string>

#include "ssdq/importing/source.h"

namespace ssdq {

// How each family names its modules; see ImportSource::map.
NameMap map_own_names(const Graph& graph, const FileNames& names);

NameMap map_vgg_reducedfc(const Graph& graph, const FileNames& names);
NameMap map_lufficc_vgg(const Graph& graph, const FileNames& names);
NameMap map_lufficc_mobilenet_v2(const Graph& graph, const FileNames& names);
NameMap map_lufficc_efficientnet(const Graph& graph, const FileNames& names);
NameMap map_lufficc_cfg(const Graph& graph, const FileNames& names);  // the pruning fork
NameMap map_efficientnet(const Graph& graph, const FileNames& names);

NameMap map_pytorch_ssd_vgg(const Graph& graph, const FileNames& names);
NameMap map_pytorch_ssd_mobilenet(const Graph& graph, const FileNames& names);

NameMap map_caffe_vgg_ssd(const Graph& graph, const FileNames& names);
NameMap map_ultralight(const Graph& graph, const FileNames& names);

NameMap map_torchvision_vgg(const Graph& graph, const FileNames& names);
NameMap map_torchvision_mobilenet_v2(const Graph& graph, const FileNames& names);
NameMap map_torchvision_mobilenet_v3(const Graph& graph, const FileNames& names);
NameMap map_torchvision_resnet(const Graph& graph, const FileNames& names);
NameMap map_torchvision_ssd300(const Graph& graph, const FileNames& names);
NameMap map_torchvision_ssdlite320(const Graph& graph, const FileNames& names);
NameMap map_nvidia_ssd(const Graph& graph, const FileNames& names);

NameMap map_ncnn_mobilenet_v2_ssdlite(const Graph& graph, const FileNames& names);

// Parts that several families share.

// nn.Sequential of the classifier's convolutions, batch norms (if the file has any), activations
// and pools, numbered from 0: "<prefix>0", ... ; returns the numbers by node.
std::map<NodeId, int> vgg_numbers(const Graph& graph, bool batch_norm);
void add_vgg(NameMap& map, const Graph& graph, const FileNames& names, const std::string& prefix);

// The one L2Norm of the graph, if it has one.
void add_l2_norm(NameMap& map, const Graph& graph, const std::string& tensor);

// Where the heads stand: "<classes><level>" for a convolution alone; depthwise and pointwise are
// "<classes><level>.<inner>0" and ".<inner>3", with the batch norm ".<inner>1", or without one
// ".<inner>2". The same for the boxes.
struct HeadNames {
  std::string classes, boxes, inner;
};
void add_heads(NameMap& map, const Graph& graph, const FileNames& names, const HeadNames& heads);
void add_lufficc_heads(NameMap& map, const Graph& graph, const FileNames& names);

// Blocks "<prefix><block>.<inner><0|3|6>", each convolution followed by batch norm and activation;
// counted from `first`. Returns the number of the next one.
size_t add_flat_blocks(NameMap& map, const Graph& graph, const std::string& prefix,
                       const std::string& inner, const std::vector<std::vector<NodeId>>& blocks,
                       size_t first = 0);

// Extra levels of MobileNetV1 detectors: a 1x1 convolution, then a 3x3 one or, separable, a
// Sequential of two.
void add_plain_extras(NameMap& map, const Graph& graph, const std::string& prefix);

// torchvision's MobileNetV2 blocks "<prefix><block>.conv.<layer>", and "<prefix><block>.0" for a
// convolution alone.
void add_inverted_residuals(NameMap& map, const Graph& graph, const std::string& prefix,
                            const std::vector<std::vector<NodeId>>& blocks);

}  // namespace ssdq
