#include "ssdq/evaluation/evaluator.h"

#include <functional>

#include <fmt/ranges.h>

#include "ssdq/evaluation/coco_evaluator.h"
#include "ssdq/evaluation/voc_evaluator.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using ClassNames = std::vector<std::string>;

struct Entry {
  EvaluatorInfo info;
  std::function<std::unique_ptr<Evaluator>(ClassNames)> make;
};

std::unique_ptr<Evaluator> make_voc(ClassNames names, bool eleven_point) {
  VocOptions options;
  options.eleven_point = eleven_point;
  return std::make_unique<VocEvaluator>(std::move(names), options);
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      {{"coco", "COCO: AP over IoU 0.50:0.95, by size, and average recall (12 numbers)"},
       [](ClassNames names) { return std::make_unique<CocoEvaluator>(std::move(names)); }},
      {{"voc_11point", "PASCAL VOC 2007: AP at IoU 0.5, mean precision at 11 recalls"},
       [](ClassNames names) { return make_voc(std::move(names), true); }},
      {{"voc_area", "PASCAL VOC 2010 on: AP at IoU 0.5, area under the precision-recall curve"},
       [](ClassNames names) { return make_voc(std::move(names), false); }},
  };
  return all;
}

}  // namespace

std::vector<EvaluatorInfo> evaluator_list() {
  std::vector<EvaluatorInfo> list;
  for (const Entry& entry : entries()) {
    list.push_back(entry.info);
  }
  return list;
}

std::unique_ptr<Evaluator> make_evaluator(const std::string& metric, ClassNames class_names) {
  std::vector<std::string> known;
  for (const Entry& entry : entries()) {
    if (entry.info.name == metric) {
      return entry.make(std::move(class_names));
    }
    known.push_back(entry.info.name);
  }
  fail_config("unknown metric '{}' (known: {})", metric, fmt::join(known, ", "));
}

}  // namespace ssdq
