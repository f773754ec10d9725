#pragma once

#include "ssdq/engine/experiment.h"
#include "ssdq/utils/event_storage.h"

namespace ssdq {

// Puts a few test images with detections and ground truth as "samples/NAME" pictures, for
// TensorBoard.
void put_sample_images(Detector& detector, const Experiment& experiment, EventStorage& events);

}  // namespace ssdq
