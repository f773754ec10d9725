#pragma once

#include <memory>
#include <string>

#include "ssdq/config/config.h"
#include "ssdq/data/dataset.h"

namespace ssdq {

// Opens the instances file `definition.annotations` with the images of the folder
// `definition.images`. Labels 1..C are the categories by rising id. Record::image_id is the COCO id
// in decimal; images keep the order of the file. Boxes become corners: x2 = x + width. Crowd
// regions and images without objects are left out when training. Throws ConfigError when a path is
// missing, Error when the file is not COCO's; single wrong entries go the way of
// OpenOptions::on_problem.
std::unique_ptr<Dataset> open_coco(const std::string& name, const DatasetDefinition& definition,
                                   const OpenOptions& options);

}  // namespace ssdq
