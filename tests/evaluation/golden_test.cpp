#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "ssdq/evaluation/coco_evaluator.h"
#include "ssdq/evaluation/voc_evaluator.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using nlohmann::json;

const std::string kGolden = std::string(SSDQ_SOURCE_DIR) + "/tests/golden/evaluation/";

json read_json(const std::string& path) {
  std::ifstream stream(path);
  SSDQ_CHECK(stream.good(), "{}: cannot be read", path);
  return json::parse(stream);
}

Box corners(const json& box) { return {box[0], box[1], box[2], box[3]}; }

Box from_xywh(double x, double y, double width, double height) {
  return {static_cast<float>(x), static_cast<float>(y), static_cast<float>(x + width),
          static_cast<float>(y + height)};
}

void expect_value(double actual, const json& expected, double tolerance, const std::string& what) {
  if (expected.is_null()) {
    EXPECT_TRUE(std::isnan(actual)) << what << " is " << actual;
  } else {
    EXPECT_NEAR(actual, expected.get<double>(), tolerance) << what;
  }
}

void add_case(const json& problem, Evaluator& evaluator) {
  for (const json& image : problem.at("images")) {
    Record truth;
    truth.image_id = image.at("id");
    for (const json& object : image.at("objects")) {
      truth.objects.push_back({corners(object.at("box")), object.at("label"),
                               object.at("difficult"), object.at("crowd"), object.at("area")});
    }
    Detections detections;
    for (const json& detection : image.at("detections")) {
      detections.push_back(
          {corners(detection.at("box")), detection.at("score"), detection.at("label")});
    }
    evaluator.add(truth, detections);
  }
}

std::vector<std::string> class_names(const json& problem) {
  std::vector<std::string> names;
  for (int i = 0; i < problem.at("classes"); ++i) {
    names.push_back("class" + std::to_string(i));
  }
  return names;
}

void expect_per_class(const MetricTable& table, const json& expected, const std::string& what) {
  ASSERT_EQ(table.per_class.size(), expected.size());
  for (size_t c = 0; c < expected.size(); ++c) {
    expect_value(table.per_class[c].second, expected[c], 1e-9,
                 what + " " + table.per_class[c].first);
  }
}

void expect_voc(const json& problem, const char* key, VocOptions options) {
  VocEvaluator evaluator(class_names(problem), options);
  add_case(problem, evaluator);
  const MetricTable table = evaluator.evaluate();
  const std::string what = problem.at("name").get<std::string>() + " " + key;
  expect_value(table.metrics.at(0).second, problem.at(key).at("mAP"), 1e-9, what);
  expect_per_class(table, problem.at(key).at("per_class"), what);
}

TEST(VocEvaluator, EqualsTheReferenceOnRandomCases) {
  const json golden = read_json(kGolden + "random.json");
  for (const json& problem : golden.at("cases")) {
    VocOptions eleven;
    eleven.eleven_point = true;
    VocOptions strict;
    strict.iou_threshold = 0.75;
    strict.plus_one = false;
    expect_voc(problem, "voc_area", {});
    expect_voc(problem, "voc_11point", eleven);
    expect_voc(problem, "voc_area_75_continuous", strict);
  }
}

TEST(CocoEvaluator, EqualsTheReferenceOnRandomCases) {
  const json golden = read_json(kGolden + "random.json");
  for (const json& problem : golden.at("cases")) {
    CocoEvaluator evaluator(class_names(problem));
    add_case(problem, evaluator);
    const MetricTable table = evaluator.evaluate();
    const std::string name = problem.at("name");
    for (const auto& [metric, value] : table.metrics) {
      expect_value(value, problem.at("coco").at("metrics").at(metric), 1e-9, name + " " + metric);
    }
    expect_per_class(table, problem.at("coco").at("per_class"), name);
  }
}

TEST(CocoEvaluator, EqualsTheCocoApiOnHundredImages) {
  const json truth = read_json(kGolden + "coco100/sampled_gts_bbox_area.json");
  std::map<int, int> labels;
  std::vector<std::string> names;
  for (const json& category : truth.at("categories")) {
    names.push_back(category.at("name"));
    labels[category.at("id")] = static_cast<int>(names.size());
  }
  std::map<int, std::pair<Record, Detections>> images;
  for (const json& image : truth.at("images")) {
    images[image.at("id")].first.image_id = std::to_string(image.at("id").get<int>());
  }
  const auto box = [](const json& b) { return from_xywh(b[0], b[1], b[2], b[3]); };
  for (const json& a : truth.at("annotations")) {
    images.at(a.at("image_id"))
        .first.objects.push_back({box(a.at("bbox")), labels.at(a.at("category_id")), false,
                                  a.at("iscrowd") == 1, a.at("area")});
  }
  for (const json& d : read_json(kGolden + "coco100/instances_val2014_fakebbox100_results.json")) {
    images.at(d.at("image_id"))
        .second.push_back({box(d.at("bbox")), d.at("score"), labels.at(d.at("category_id"))});
  }
  CocoEvaluator evaluator(names);
  for (auto image = images.rbegin(); image != images.rend(); ++image) {  // any order will do
    evaluator.add(image->second.first, image->second.second);
  }

  const json expected = read_json(kGolden + "coco100/expected.json");  // six digits
  const std::map<std::string, std::string> names_there = {{"APs", "APsmall"},  {"APm", "APmedium"},
                                                          {"APl", "APlarge"},  {"ARs", "ARsmall"},
                                                          {"ARm", "ARmedium"}, {"ARl", "ARlarge"}};
  for (const auto& [metric, value] : evaluator.evaluate().metrics) {
    const auto other = names_there.find(metric);
    expect_value(value, expected.at(other == names_there.end() ? metric : other->second), 6e-7,
                 metric);
  }
}

// Lines "name x y w h", with a score after the name for detections.
double published_ap(const std::string& truth_dir, const std::string& detection_dir,
                    VocOptions options) {
  VocEvaluator evaluator({"object"}, options);
  for (int i = 1; i <= 7; ++i) {
    Record truth;
    truth.image_id = fmt::format("{:05}", i);
    Detections detections;
    std::string name;
    double score = 0, x = 0, y = 0, w = 0, h = 0;
    std::ifstream objects(truth_dir + "/" + truth.image_id + ".txt");
    while (objects >> name >> x >> y >> w >> h) {
      truth.objects.emplace_back();
      truth.objects.back().box = from_xywh(x, y, w, h);
      truth.objects.back().label = 1;
    }
    std::ifstream found(detection_dir + "/" + truth.image_id + ".txt");
    while (found >> name >> score >> x >> y >> w >> h) {
      detections.push_back({from_xywh(x, y, w, h), static_cast<float>(score), 1});
    }
    EXPECT_FALSE(truth.objects.empty() || detections.empty()) << truth.image_id;
    evaluator.add(truth, detections);
  }
  return evaluator.evaluate().metrics.at(0).second;
}

TEST(VocEvaluator, EqualsThePublishedSampleOfPersons) {
  VocOptions options;
  options.iou_threshold = 0.3;
  EXPECT_NEAR(published_ap(kGolden + "voc_persons7/groundtruths",
                           kGolden + "voc_persons7/detections", options),
              0.2457, 5e-5);  // printed as 24.57%
}

TEST(VocEvaluator, EqualsThePublishedValuesAtFourThresholds) {
  const json golden = read_json(kGolden + "voc_case1/expected.json");
  for (const auto& [method, values] : golden.items()) {
    for (const auto& [threshold, expected] : values.items()) {
      VocOptions options;
      options.eleven_point = method == "ELEVEN_POINT";
      options.iou_threshold = std::stod(threshold);
      expect_value(published_ap(kGolden + "voc_case1/gts", kGolden + "voc_case1/dets", options),
                   expected, 1e-10, method + " " + threshold);
    }
  }
}

// --- Real detections over real annotations that may not be shipped.

Record read_voc_record(const std::string& path, const std::map<std::string, int>& labels) {
  pugi::xml_document xml;
  SSDQ_CHECK(xml.load_file(path.c_str()), "{}: cannot be read", path);
  Record record;
  for (const pugi::xml_node node : xml.child("annotation").children("object")) {
    const pugi::xml_node bounds = node.child("bndbox");
    const auto side = [&](const char* name) { return bounds.child(name).text().as_float() - 1; };
    Object object;
    object.box = {side("xmin"), side("ymin"), side("xmax"), side("ymax")};
    object.label = labels.at(node.child("name").text().get());
    object.difficult = node.child("difficult").text().as_bool();
    record.objects.push_back(object);
  }
  return record;
}

TEST(VocEvaluator, EqualsTheReferenceOnRealDetections) {
  const char* root = std::getenv("SSDQ_REFERENCE_DATA");
  if (root == nullptr) {
    GTEST_SKIP() << "SSDQ_REFERENCE_DATA is not set: the annotations may not be shipped";
  }
  const std::string data = root;
  std::vector<std::string> names;
  std::map<std::string, int> labels;
  for (const auto& file :
       std::filesystem::directory_iterator(data + "/eval_golden/voc2007_mini_test_300_dets")) {
    names.push_back(file.path().stem().string().substr(std::string("det_test_").size()));
  }
  std::sort(names.begin(), names.end());
  std::map<std::string, Detections> detections;
  for (const std::string& name : names) {
    const int label = labels[name] = static_cast<int>(labels.size()) + 1;
    std::ifstream stream(data + "/eval_golden/voc2007_mini_test_300_dets/det_test_" + name +
                         ".txt");
    std::string id;
    Detection d;
    while (stream >> id >> d.score >> d.box.x1 >> d.box.y1 >> d.box.x2 >> d.box.y2) {
      d.label = label;
      detections[id].push_back(d);
    }
  }
  VocOptions eleven;
  eleven.eleven_point = true;
  VocEvaluator area(names);
  VocEvaluator points(names, eleven);
  std::ifstream list(data + "/voc2007_mini/VOC2007/ImageSets/Main/test.txt");
  for (std::string id; list >> id;) {
    Record truth =
        read_voc_record(data + "/voc2007_mini/VOC2007/Annotations/" + id + ".xml", labels);
    truth.image_id = id;
    area.add(truth, detections[id]);
    points.add(truth, detections[id]);
  }
  EXPECT_NEAR(area.evaluate().metrics.at(0).second, 0.7334, 5e-5);
  EXPECT_NEAR(points.evaluate().metrics.at(0).second, 0.7176, 5e-5);
}

}  // namespace
}  // namespace ssdq
