#include "ssdq/config/writer.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include <gmock/gmock.h>

#include "ssdq/config/field.h"
#include "ssdq/config/reader.h"
#include "ssdq/config/value.h"
#include "ssdq/utils/files.h"
#include "tests/config/config_testing.h"

namespace ssdq {
namespace {

// Changes a value of each type to another one that the rule accepts.
struct Changer {
  const Rule& rule;

  void operator()(std::string* value) const {
    if (rule.style == TextStyle::kDevice) {
      *value = "cuda:1";
    } else if (!rule.choices.empty()) {
      *value = *value == rule.choices[0] ? rule.choices[1] : rule.choices[0];
    } else {
      *value = rule.style == TextStyle::kPlain ? "a: 'odd' \"one\"\n#\t\\ [1], {é}" : "other-1.5";
    }
  }
  void operator()(bool* value) const { *value = !*value; }
  void operator()(int* value) const { *value += rule.most && *rule.most == *value ? 0 : 2; }
  void operator()(int64_t* value) const { *value += (int64_t{1} << 40) + 1; }
  void operator()(double* value) const {
    *value = rule.most || rule.least ? 1.0 / 7 + (accepts(rule, 1.0 / 7) ? 0 : 3) : -1.0 / 7;
  }
  void operator()(Size2* value) const { *value = {123, 457}; }
  void operator()(std::vector<int>* value) const { value->push_back(17); }
  void operator()(std::vector<int64_t>* value) const { value->clear(); }
  void operator()(std::vector<double>* value) const { value->push_back(1e-300); }
  void operator()(std::vector<std::string>* value) const {
    *value = {"a", "true", "", "3", "x, y"};
  }
  void operator()(std::vector<Size2>* value) const { *value = {{3, 3}, {2, 1}}; }
  void operator()(std::vector<std::vector<double>>* value) const {
    *value = {{}, {2}, {1.0 / 3, 4e20}};
  }
  void operator()(std::map<std::string, double>* value) const {
    *value = {{"mAP", .5}, {"no", -1}};
  }
  void operator()(Options* value) const {
    *value = {{"RANGE", "[1, 2]"}, {"x y", "true"}, {"EMPTY", ""}};
  }
  void operator()(std::vector<WidthStage>* value) const {
    *value = {{0, 16, 16}, {int64_t{1} << 40, 4, 3}};
  }
  void operator()(std::vector<QuantizationRule>* value) const {
    QuantizationRule all{"head.*", 4, 3, "iao", Options{{"RANGE", "[1, 2]"}, {"x y", ""}}, false};
    QuantizationRule skip{"depth?", {}, {}, {}, Options{}, true};
    *value = {all, skip};
  }
  template <typename Value>
  void operator()(std::optional<Value>*) const {}
  void operator()(std::map<std::string, DatasetDefinition>* value) const {
    DatasetDefinition cells{"voc",    "/data/my cells", "train",
                            "a.json", "images",         {"RBC", "no", "a: b"}};
    *value = {{"cells", cells}, {"010", {}}};
  }
};

bool same(const DatasetDefinition& a, const DatasetDefinition& b) {
  return a.format == b.format && a.root == b.root && a.split == b.split &&
         a.annotations == b.annotations && a.images == b.images && a.classes == b.classes;
}

struct SameValue {
  bool operator()(const std::map<std::string, DatasetDefinition>* a,
                  const std::map<std::string, DatasetDefinition>* b) const {
    return std::equal(a->begin(), a->end(), b->begin(), b->end(), [](const auto& x, const auto& y) {
      return x.first == y.first && same(x.second, y.second);
    });
  }
  template <typename Value>
  bool operator()(const Value* a, const Value* b) const {
    return *a == *b;
  }
  template <typename A, typename B>
  bool operator()(const A*, const B*) const {
    return false;
  }
};

TEST(Writer, EveryChangedFieldReadsBackEqual) {
  Config changed;
  const FieldList fields = list_fields(changed);
  for (const Field& field : fields.fields) std::visit(Changer{field.rule}, field.value);
  const std::string yaml = to_yaml(changed);
  Config read = parse_config(yaml, "resolved");
  const FieldList back = list_fields(read);
  Config defaults;
  const FieldList standard = list_fields(defaults);
  for (size_t i = 0; i < fields.fields.size(); ++i) {
    const Field& field = fields.fields[i];
    EXPECT_TRUE(std::visit(SameValue(), field.value, back.fields[i].value))
        << field.key << ": " << value_text(field.value);
    EXPECT_TRUE(field.key == "VERSION" ||
                !std::visit(SameValue(), field.value, standard.fields[i].value))
        << field.key;
  }
  EXPECT_EQ(to_yaml(read), yaml);
}

TEST(Writer, DefaultsReadBackEqual) {
  const Config defaults;
  EXPECT_EQ(differences(parse_config(to_yaml(defaults), "resolved")), "");
  EXPECT_DOUBLE_EQ(parse_config(to_yaml(defaults), "resolved").solver.warmup_factor, 1.0 / 3);
}

TEST(Writer, SectionsAreNestedAndWrittenOnce) {
  Config config;
  config.datasets.define["cells"].format = "voc";
  const std::string yaml = to_yaml(config);
  EXPECT_THAT(yaml,
              ::testing::HasSubstr(
                  "\n  PRIORS:\n    FEATURE_MAPS: []\n    STRIDES: [8, 16, 32, 64, 100, 300]\n"));
  EXPECT_THAT(yaml,
              ::testing::HasSubstr("  DEFINE:\n    cells:\n      FORMAT: voc\n      ROOT: \"\"\n"));
  EXPECT_EQ(yaml.find("MODEL:"), yaml.rfind("MODEL:"));
}

TEST(Writer, RulesAreMapsInAList) {
  Config config;
  config.quantization.final_layer = "true";
  config.quantization.policy = {{"head.*", 4, {}, "iao", Options{{"A", "b"}}, {}},
                                {"depthwise", {}, {}, {}, {}, true}};
  const std::string yaml = to_yaml(config);
  EXPECT_THAT(yaml, ::testing::HasSubstr("  FINAL: true\n"));
  EXPECT_THAT(
      yaml, ::testing::HasSubstr("  POLICY:\n"
                                 "    - {MATCH: \"head.*\", WBITS: 4, TYPE: iao, OPTIONS: {A: b}}\n"
                                 "    - {MATCH: depthwise, SKIP: true}\n"));
}

TEST(Writer, DifferencesNameKeyValueAndDefault) {
  Config config;
  config.quantization.type = "dorefa";
  config.input.image_size = {200, 300};
  EXPECT_EQ(
      differences(config),
      "INPUT.IMAGE_SIZE: [200, 300] (default: 300)\nQUANTIZATION.TYPE: dorefa (default: none)\n");
}

TEST(Fields, DefaultsKeepTheirOwnRules) {
  Config config;
  std::set<std::string> keys;
  for (const Field& field : list_fields(config).fields) {
    EXPECT_TRUE(keys.insert(field.key).second) << field.key << " is listed twice";
    EXPECT_EQ(field.description.back(), '.') << field.key;
  }
  EXPECT_NO_THROW(parse_config(to_yaml(config), "defaults"));
}

TEST(Reference, CommittedPageIsCurrent) {
  const std::string page = std::string(SSDQ_SOURCE_DIR) + "/docs/config.md";
  if (std::getenv("SSDQ_UPDATE") != nullptr) write_file_atomically(page, config_reference());
  EXPECT_TRUE(read_file(page) == config_reference())
      << "docs/config.md is not what ssdq/config/fields.h gives; SSDQ_UPDATE=1 ctest --preset "
         "release -R config rewrites it";
}

}  // namespace
}  // namespace ssdq
