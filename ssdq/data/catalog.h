#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/data/dataset.h"

namespace ssdq {

// How data sets of one format are opened. Paths of the definition are ready to use.
struct DatasetFormat {
  std::string summary;
  std::function<std::unique_ptr<Dataset>(const std::string& name, const DatasetDefinition&,
                                         const OpenOptions&)>
      open;
};

// voc, coco, txt and what projects added, by the name that FORMAT gives.
const std::map<std::string, DatasetFormat>& dataset_formats();

// Call before threads start. Throws Error when the name is taken.
void register_dataset_format(const std::string& name, DatasetFormat format);

// Where data sets with relative paths may lie: the current directory, the configuration's folder,
// the folder above it, and the installed share. `config_file` may be empty.
std::vector<std::string> dataset_search_dirs(const std::string& config_file = "");

// The data sets that a config can name: voc_{2007,2012}_{train,val,trainval,test},
// coco_2014_{train,val,minival,valminusminival}, coco_2017_{train,val},
// bccd_{train,val,trainval,test}, and those added from YAML.
class DatasetCatalog {
 public:
  // Relative paths are looked for below each of `search_dirs`, in order (the current directory, the
  // config's folder, the installed share), and below the folder that holds it unless it is ".".
  explicit DatasetCatalog(std::vector<std::string> search_dirs = {"."});

  // Throws ConfigError when the name is taken or the format unknown. A path may start with
  // $VOC_ROOT or $COCO_ROOT: the environment variable, or its default (../data/VOCdevkit,
  // datasets/VOCdevkit;
  // ../data/coco, datasets/coco).
  void add(const std::string& name, DatasetDefinition definition);

  std::vector<std::string> names() const;  // sorted

  // One line: format, classes where known, where it lies. Throws ConfigError for an
  // unknown name.
  std::string summary(const std::string& name) const;

  // Throws ConfigError for an unknown name, with the nearest and all known ones, and for a data set
  // that is not on the disk; Error when its files are wrong.
  std::unique_ptr<Dataset> open(const std::string& name, const OpenOptions& options) const;

  // Several data sets as one; their classes must be equal (ConfigError naming both otherwise).
  std::unique_ptr<Dataset> open_all(const std::vector<std::string>& names,
                                    const OpenOptions& options) const;

 private:
  const DatasetDefinition& find(const std::string& name) const;
  DatasetDefinition resolve(const std::string& name, DatasetDefinition definition) const;
  std::string resolve_root(const std::string& name, const std::string& path) const;
  // The first candidate that exists below a search folder; empty when none does.
  std::string locate(const std::vector<std::filesystem::path>& candidates) const;

  std::vector<std::string> search_dirs_;
  std::map<std::string, DatasetDefinition> definitions_;
};

}  // namespace ssdq
