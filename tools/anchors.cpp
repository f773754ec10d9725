#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/config/paths.h"
#include "ssdq/config/reader.h"
#include "ssdq/data/catalog.h"
#include "ssdq/data/object_boxes.h"
#include "ssdq/detection/anchor_report.h"
#include "ssdq/engine/named_backbones.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/features.h"
#include "ssdq/utils/error.h"
#include "ssdq/visualization/image_io.h"
#include "ssdq/visualization/scatter.h"

namespace po = boost::program_options;

namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

constexpr const char* kHelp =
    "usage: anchors --config-file FILE [options] [KEY VALUE ...]\n\n"
    "Measures how well the default boxes of a configuration cover the boxes of its data set, "
    "clusters\nthe boxes by shape, and suggests sizes and aspect ratios that cover them better:\n"
    "  anchors --config-file configs/vgg_mini_ssd300_bccd.yaml --plot anchors.png\n\n";

struct Arguments {
  std::string config_file;
  std::string split = "train";
  std::string plot;
  ssdq::ClusterOptions clusters;
  bool json = false;
  bool help = false;
  std::vector<std::string> overrides;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  arguments.clusters.clusters = 0;
  po::options_description options("options");
  auto add = options.add_options();
  add("help,h", po::bool_switch(&arguments.help), "this text");
  add("config-file", po::value<std::string>(), "YAML configuration");
  add("split", po::value(&arguments.split), "train (default) or test: whose boxes");
  add("clusters", po::value(&arguments.clusters.clusters),
      "clusters of shapes; default: default boxes at a location of all levels together");
  add("seed", po::value(&arguments.clusters.seed), "of the clusters' starts; default 0");
  add("plot", po::value(&arguments.plot), "draw widths and heights to this .png or .jpg");
  add("json", po::bool_switch(&arguments.json), "print JSON");
  const auto line = parse_arguments(argc, argv, options);
  if (arguments.help) {
    std::cout << kHelp << options;
    return arguments;
  }
  arguments.overrides = line.overrides;
  arguments.config_file = required_config(line.given);
  SSDQ_CHECK_CONFIG(arguments.split == "train" || arguments.split == "test",
                    "--split is '{}'; expected train or test", arguments.split);
  SSDQ_CHECK_CONFIG(line.given.count("clusters") == 0 || arguments.clusters.clusters > 0,
                    "--clusters is {}; expected a number above 0", arguments.clusters.clusters);
  return arguments;
}

std::unique_ptr<ssdq::Dataset> open_split(const ssdq::LoadedConfig& loaded, bool training) {
  const auto& datasets = loaded.config.datasets;
  const auto& names = training ? datasets.train : datasets.test;
  SSDQ_CHECK_CONFIG(!names.empty(), "{}: DATASETS.{} is empty; expected a data set name",
                    loaded.file, training ? "TRAIN" : "TEST");
  ssdq::DatasetCatalog catalog(ssdq::dataset_search_dirs(loaded.file));
  for (const auto& [name, definition] : datasets.define) {
    catalog.add(name, definition);
  }
  ssdq::OpenOptions options;
  options.training = training;
  return catalog.open_all(names, options);
}

std::vector<ssdq::Size2> feature_maps(const ssdq::LoadedConfig& loaded) {
  const ssdq::Config& config = loaded.config;
  const auto path = ssdq::resolve_path(ssdq::backbone_cfg(config), loaded.file);
  const auto graph = ssdq::read_cfg(path, config.input.image_size, config.input.channels);
  std::vector<ssdq::Size2> maps;
  for (const auto& shape : ssdq::feature_shapes(graph)) {
    maps.push_back(shape.size);
  }
  return maps;
}

// Default boxes of all levels as points.
std::vector<cv::Point2d> prior_points(const ssdq::PriorsConfig& priors,
                                      const std::vector<ssdq::Size2>& maps, ssdq::Size2 size) {
  std::vector<cv::Point2d> points;
  for (const auto& level : ssdq::prior_levels(priors, maps, size)) {
    for (const auto& shape : level.shapes) {
      points.emplace_back(shape.width, shape.height);
    }
  }
  return points;
}

std::vector<cv::Point2d> points_of(const std::vector<ssdq::BoxShape>& shapes) {
  std::vector<cv::Point2d> points;
  for (const auto& shape : shapes) {
    points.emplace_back(shape.width, shape.height);
  }
  return points;
}

void plot(const ssdq::AnchorReport& report, const ssdq::PriorsConfig& priors,
          const std::vector<ssdq::Box>& boxes, const std::string& file) {
  std::vector<ssdq::ScatterSeries> series = {
      {"boxes", points_of(ssdq::shapes_of(boxes)), {120, 150, 190}, ssdq::Marker::kDot},
      {"clusters", points_of(report.clusters.centers), {20, 20, 20}, ssdq::Marker::kCross},
      {"default boxes",
       prior_points(priors, report.maps, report.image_size),
       {210, 60, 40},
       ssdq::Marker::kRing}};
  if (report.suggestion.better) {
    series.push_back({"suggested",
                      prior_points(report.suggestion.priors, report.maps, report.image_size),
                      {30, 140, 60},
                      ssdq::Marker::kRing});
  }
  ssdq::PlotOptions options;
  options.title = fmt::format("{}: boxes at {} x {}", report.dataset, report.image_size.height,
                              report.image_size.width);
  options.x_label = "width, px";
  options.y_label = "height, px";
  options.x = {0, 1.02 * report.image_size.width};
  options.y = {0, 1.02 * report.image_size.height};
  ssdq::write_image(file, ssdq::draw_scatter(series, options));
}

int run(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  if (arguments.help) return kOk;
  const auto loaded = ssdq::load_config(arguments.config_file, arguments.overrides);
  const ssdq::Config& config = loaded.config;
  const auto maps = feature_maps(loaded);
  const auto dataset = open_split(loaded, arguments.split == "train");
  const auto objects = ssdq::object_boxes(*dataset, config.input.image_size);
  SSDQ_CHECK(!objects.boxes.empty(), "{}: has no boxes with an area", dataset->name());
  auto report = ssdq::analyze_anchors(config.model.priors, maps, config.input.image_size,
                                      objects.boxes, arguments.clusters);
  report.dataset = dataset->name();
  report.left_out = objects.left_out;
  std::cout << (arguments.json ? ssdq::to_json(report) : ssdq::to_text(report));
  if (!arguments.plot.empty()) {
    plot(report, config.model.priors, objects.boxes, arguments.plot);
  }
  return kOk;
}

int report_error(const std::exception& error, int status) {
  std::cerr << "anchors: " << error.what() << std::endl;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const ssdq::ConfigError& error) {
    return report_error(error, kUsage);
  } catch (const std::exception& error) {
    return report_error(error, kFailed);
  }
}
