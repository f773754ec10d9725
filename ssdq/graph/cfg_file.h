#pragma once

#include <string>

#include "ssdq/graph/graph.h"

namespace ssdq {

// Backbones in the section format of darknet, with the keys of the SSD pruning/quantization fork.
//
// A section is a layer; index 0 is the first one after the optional leading [net], whose keys are
// settings of other programs and are not read. References (from, layers) are section indices:
// negative ones count back from the section they stand in, others are absolute.
//   [convolutional] filters size; stride=1 pad=0 (pixels) dilation=1 groups=1 bias=1
//                   batch_normalize=0 bn_eps=1e-5 bn_momentum=0.1 activation=linear
//                   leaky_slope=0.1; bias counts only without batch_normalize; sizes are "3" or
//                   "HEIGHTxWIDTH"; pad=same is TensorFlow's SAME (padding_of in graph.h)
//   [depthwise]     the same; filters, if given, must equal the input channels
//   [shortcut]      from (one or several); adds the section above and these, in that order
//   [route] [concat] layers; one: passes that section on, several: joins their channels
//   [maxpool]       size stride; pad=0 ceil_mode=0
//   [avgpool]       the same, or no size for the mean of the whole map
//   [upsample]      stride (a whole factor, nearest neighbour)
//   [se]            squeeze (channels); inner=relu gate=sigmoid activation=linear (after the
//   product)
// Any section: name; feature=no|linear|l2_norm and feature_idx (level of the head, from 0) with
// feature_scale=20 (initial scale of l2_norm); backbone=1 on the last section that a pre-trained
// classifier covers (without it none is). Weighted sections: quantization (1 marks it for
// quantization, 0 keeps it in float, without it QUANTIZATION.LAYERS decides), wbits, abits.
//
// feature=l2_norm hangs an L2Norm node on the section which feeds the head only: the next section
// and all references read the section's own output. Node names are those given in graph.h.

// Throws ConfigError with a line for each mistake, or if a layer cannot take its input.
Graph parse_cfg(const std::string& text, const std::string& name, Size2 image_size,
                int channels = 3);

// Also throws ConfigError if the file cannot be read.
Graph read_cfg(const std::string& path, Size2 image_size, int channels = 3);

// The backbone (nodes named "backbone.*") and its features as cfg text. Reading it with the graph's
// image size gives the same backbone. Throws Error naming a node that the format cannot hold.
std::string write_cfg(const Graph& graph);

}  // namespace ssdq
