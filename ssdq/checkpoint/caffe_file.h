#pragma once

#include <string>

#include "ssdq/checkpoint/tensor_file.h"

namespace ssdq {

// Reads the weights of a Caffe network with OpenCV's importer: `prototxt` is the text that
// describes its layers, `caffemodel` holds their values. Of the layers of the prototxt, in its
// order:
// "<layer>.weight" and "<layer>.bias"; of a BatchNorm "<layer>.running_mean" and ".running_var",
// divided by Caffe's moving-average factor (its learned scale is the Scale layer behind it);
// further values of other layers are "<layer>.blob<number>". Convolutions are [out, in / groups,
// height, width], fully connected layers [out, in], everything else is flat; float32. Channels are
// in the file's order, which for Caffe is B, G, R. metadata["left_out"] lists the layers with
// values that the prototxt has not, separated by commas.
//
// Throws Error of one sentence: a caffemodel that is no message of layers, or with a blob that is
// shorter than its shape says, or a prototxt with a count of 0, before OpenCV sees them; layers
// that OpenCV does not know or that have no weights. So memory stays in proportion to the files.
// Inside the layers OpenCV and protobuf do the parsing: their checks are trusted, and a prototxt as
// much as any file given to OpenCV.
TensorFile read_caffe(const std::string& caffemodel, const std::string& prototxt);

}  // namespace ssdq
