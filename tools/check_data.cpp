#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/program_options.hpp>

#include "arguments.h"
#include "ssdq/config/reader.h"
#include "ssdq/data/check.h"
#include "ssdq/utils/error.h"

namespace {

namespace po = boost::program_options;

constexpr int kClean = 0;
constexpr int kProblems = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::vector<std::string> names;
  std::string config_file;
  std::vector<std::string> overrides;
  ssdq::DatasetDefinition definition;
  int threads = 0;
  int show = 20;
  std::string json;
  bool help = false;
};

po::options_description visible_options(Arguments& arguments) {
  ssdq::DatasetDefinition& definition = arguments.definition;
  po::options_description options("Options");
  auto add = options.add_options();
  add("config-file", po::value(&arguments.config_file), "check the data sets that a YAML names");
  add("format", po::value(&definition.format), "describe a data set here: voc, coco or txt");
  add("root", po::value(&definition.root), "voc: folder of Annotations, ImageSets, JPEGImages");
  add("split", po::value(&definition.split), "voc: image set; txt: train or valid");
  add("annotations", po::value(&definition.annotations), "coco: json; txt: .data file");
  add("images", po::value(&definition.images), "coco: image folder");
  add("classes", po::value(&definition.classes)->multitoken(), "voc: names, label 1 first");
  add("threads", po::value(&arguments.threads), "threads; 0 (default): all cores");
  add("show", po::value(&arguments.show), "messages printed of each kind (default 20; -1: all)");
  add("json", po::value(&arguments.json), "write the whole report to this file");
  add("help,h", po::bool_switch(&arguments.help), "print this");
  return options;
}

void print_help(const po::options_description& options) {
  std::cout << "Reads whole data sets, decodes every image, and reports what is wrong.\n\n"
               "Usage: check_data NAME... [options]\n"
               "       check_data --config-file FILE [options] [KEY VALUE ...]\n"
               "       check_data --format voc --root FOLDER --split SPLIT [--classes A B C]\n"
               "       check_data --format coco --annotations FILE --images FOLDER\n"
               "       check_data --format txt --annotations X.data --split train\n\n"
            << options
            << "\nExit status: 0 nothing wrong, 1 problems found, 2 wrong arguments.\n"
               "Names: "
            << fmt::format("{}", fmt::join(ssdq::DatasetCatalog().names(), " ")) << "\n";
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  const po::options_description visible = visible_options(arguments);
  po::options_description all;
  all.add(visible).add_options()("names", po::value(&arguments.names));
  po::positional_options_description positional;
  positional.add("names", -1);
  arguments.overrides = parse_arguments(argc, argv, all, positional).overrides;
  if (arguments.help) {
    print_help(visible);
  }
  return arguments;
}

void print(const ssdq::CheckReport& report, int show) {
  fmt::print("{} ({}): {} images, {} objects\n", report.dataset, report.format, report.num_images,
             report.num_objects);
  for (std::size_t i = 0; i < report.class_names.size(); ++i) {
    fmt::print("  {:<24} {:>8}\n", report.class_names[i], report.objects_per_class[i]);
  }
  for (const auto& [kind, count] : report.counts()) {
    fmt::print("{}{}: {}\n", ssdq::is_note(kind) ? "note: " : "", ssdq::describe(kind), count);
    int64_t printed = 0;
    for (const ssdq::Problem& problem : report.problems) {
      if (problem.kind == kind && (show < 0 || printed < show)) {
        fmt::print("  {}\n", problem.message);
        ++printed;
      }
    }
    if (printed < count) {
      fmt::print("  and {} more (--show -1 prints all)\n", count - printed);
    }
  }
  fmt::print("{}\n", report.clean() ? "nothing wrong" : "problems found");
}

// The data sets of the configuration, added to the catalog where it defines them.
void take_config(Arguments& arguments, ssdq::DatasetCatalog& catalog) {
  const auto datasets =
      ssdq::load_config(arguments.config_file, arguments.overrides).config.datasets;
  for (const auto& [name, definition] : datasets.define) {
    catalog.add(name, definition);
  }
  for (const auto* names : {&datasets.train, &datasets.test}) {
    arguments.names.insert(arguments.names.end(), names->begin(), names->end());
  }
  SSDQ_CHECK_CONFIG(!arguments.names.empty(), "{}: DATASETS.TRAIN and DATASETS.TEST are empty",
                    arguments.config_file);
}

int run(Arguments arguments) {
  ssdq::DatasetCatalog catalog(ssdq::dataset_search_dirs(arguments.config_file));
  SSDQ_CHECK_CONFIG(arguments.overrides.empty() || !arguments.config_file.empty(),
                    "KEY VALUE pairs override a configuration; add --config-file FILE");
  if (!arguments.config_file.empty()) {
    take_config(arguments, catalog);
  }
  if (!arguments.definition.format.empty()) {
    catalog.add("data", arguments.definition);
    arguments.names.emplace_back("data");
  }
  SSDQ_CHECK_CONFIG(!arguments.names.empty(),
                    "no data set is named: give names, --config-file FILE, or --format with its "
                    "options; see --help");
  std::vector<ssdq::CheckReport> reports;
  bool is_clean = true;
  for (const std::string& name : arguments.names) {
    reports.push_back(ssdq::check_dataset(catalog, name, arguments.threads));
    print(reports.back(), arguments.show);
    is_clean = is_clean && reports.back().clean();
  }
  if (!arguments.json.empty()) {
    std::ofstream file(arguments.json);
    file << ssdq::to_json(reports);
    SSDQ_CHECK(file.flush().good(), "{}: cannot be written", arguments.json);
  }
  return is_clean ? kClean : kProblems;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments = parse(argc, argv);
    return arguments.help ? kClean : run(arguments);
  } catch (const ssdq::ConfigError& error) {
    std::cerr << "check_data: " << error.what() << "\n";
    return kUsage;
  } catch (const std::exception& error) {
    std::cerr << "check_data: " << error.what() << "\n";
    return kProblems;
  }
}
