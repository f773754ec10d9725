#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets_testing.h"
#include "ssdq/data/catalog.h"

namespace ssdq {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using testing::message_of;

// Sets an environment variable, or unsets it with nullptr, for the length of a case.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    const char* old = std::getenv(name);
    if (old != nullptr) {
      old_ = old;
    }
    set(value);
  }
  ~ScopedVariable() { set(old_ ? old_->c_str() : nullptr); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  void set(const char* value) const {
    value == nullptr ? unsetenv(name_) : setenv(name_, value, 1);
  }
  const char* name_;
  std::optional<std::string> old_;
};

class Catalog : public testing::DatasetTest {
 protected:
  // A VOC folder below `root` with one image and no objects.
  DatasetDefinition make_voc(const std::string& root, std::vector<std::string> classes) const {
    write(root + "/ImageSets/Main/test.txt", "a\n");
    write(root + "/Annotations/a.xml", "<annotation/>");
    write_image(root + "/JPEGImages/a.png", 8, 8);
    DatasetDefinition definition;
    definition.format = "voc";
    definition.root = root;
    definition.split = "test";
    definition.classes = std::move(classes);
    return definition;
  }
};

TEST_F(Catalog, KnowsTheBuiltInNames) {
  EXPECT_THAT(DatasetCatalog().names(),
              IsSupersetOf({"voc_2007_train", "voc_2012_trainval", "coco_2014_minival",
                            "coco_2014_valminusminival", "coco_2017_val", "bccd_test"}));
  EXPECT_EQ(DatasetCatalog().summary("bccd_test"),
            "voc, split test, datasets/bccd, classes RBC, WBC, Platelets");
}

TEST_F(Catalog, UnknownNameSuggestsTheNearest) {
  EXPECT_THAT(message_of<ConfigError>([] { DatasetCatalog().open("voc_2007_tset", {}); }),
              ::testing::AllOf(
                  HasSubstr("unknown data set 'voc_2007_tset' (did you mean voc_2007_test?); known "
                            "are bccd_test, bccd_train, "),
                  HasSubstr("voc_2012_val; describe your own under DATASETS.DEFINE")));
  EXPECT_THAT(message_of<ConfigError>([] { DatasetCatalog().open("zebra", {}); }),
              HasSubstr("unknown data set 'zebra'; known are"));
}

TEST_F(Catalog, UnknownFormatAndTakenNameAreRefused) {
  DatasetCatalog catalog;
  DatasetDefinition definition;
  definition.format = "vocs";
  EXPECT_EQ(
      message_of<ConfigError>([&] { catalog.add("mine", definition); }),
      "data set mine: unknown format 'vocs' (did you mean voc?); it must be one of coco, txt, "
      "voc");
  definition.format = "voc";
  EXPECT_EQ(message_of<ConfigError>([&] { catalog.add("bccd_test", definition); }),
            "data set bccd_test: there is one of this name already; choose another name");
}

TEST_F(Catalog, HonoursTheRootVariable) {
  make_voc("devkit/VOC2007", {});
  const std::string root = path("devkit");
  const ScopedVariable variable("VOC_ROOT", root.c_str());
  const auto dataset = DatasetCatalog().open("voc_2007_test", {});
  EXPECT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->class_names().size(), 20U);
  EXPECT_EQ(message_of<ConfigError>([] { DatasetCatalog().open("voc_2012_test", {}); }),
            "data set voc_2012_test: there is no " + root +
                "/VOC2012 (searched from .); set VOC_ROOT to the folder that holds it, or fetch it "
                "with datasets/get_voc.sh");
}

TEST_F(Catalog, FallsBackToTheDefaultRoots) {
  const ScopedVariable variable("VOC_ROOT", nullptr);
  const DatasetCatalog catalog({path("work")});
  EXPECT_THAT(message_of<ConfigError>([&] { catalog.open("voc_2007_test", {}); }),
              HasSubstr("there is no ../data/VOCdevkit/VOC2007 or datasets/VOCdevkit/VOC2007"));
  make_voc("work/datasets/VOCdevkit/VOC2007", {});
  EXPECT_EQ(catalog.open("voc_2007_test", {})->size(), 1);
}

TEST_F(Catalog, FindsRelativeRootsBesideTheConfigAndAboveIt) {
  DatasetDefinition definition = make_voc("project/pets", {"cat"});
  std::filesystem::create_directories(path("project/configs"));
  definition.root = "pets";
  DatasetCatalog catalog({".", path("project/configs")});
  catalog.add("pets_test", definition);
  EXPECT_EQ(catalog.open("pets_test", {})->size(), 1);
}

TEST_F(Catalog, CocoPathsAreBelowTheRoot) {
  write("coco/annotations/instances_val2017.json",
        R"({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []})");
  write_image("coco/val2017/a.png", 8, 8);
  const std::string root = path("coco");
  const ScopedVariable variable("COCO_ROOT", root.c_str());
  EXPECT_EQ(DatasetCatalog().open("coco_2017_val", {})->size(), 1);
  EXPECT_EQ(message_of<ConfigError>([] { DatasetCatalog().open("coco_2017_train", {}); }),
            "data set coco_2017_train: there is no annotation file " +
                path("coco/annotations/instances_train2017.json"));
}

TEST_F(Catalog, JoinsDataSetsInOrder) {
  DatasetCatalog catalog({folder_.string()});
  catalog.add("first", make_voc("one", {"cat", "dog"}));
  catalog.add("second", make_voc("two", {"cat", "dog"}));
  const auto both = catalog.open_all({"second", "first"}, {});
  EXPECT_EQ(both->name(), "second+first");
  ASSERT_EQ(both->size(), 2);
  EXPECT_EQ(both->record(0).image_path, path("two/JPEGImages/a.png"));
  EXPECT_EQ(both->record(1).image_path, path("one/JPEGImages/a.png"));
  EXPECT_THROW(both->record(2), Error);
  EXPECT_EQ(catalog.open_all({"first"}, {})->name(), "first");
}

TEST_F(Catalog, DifferentClassesCannotBeJoined) {
  DatasetCatalog catalog({folder_.string()});
  catalog.add("first", make_voc("one", {"cat", "dog"}));
  catalog.add("second", make_voc("two", {"cat", "cow"}));
  catalog.add("third", make_voc("three", {"cat"}));
  EXPECT_EQ(
      message_of<ConfigError>([&] {
        catalog.open_all({"first", "second"}, {});
      }),
      "data sets first and second cannot be joined: label 2 is 'dog' in the first and 'cow' in "
      "the second");
  EXPECT_EQ(message_of<ConfigError>([&] {
              catalog.open_all({"first", "third"}, {});
            }),
            "data sets first and third cannot be joined: they have 2 and 1 classes");
  EXPECT_EQ(message_of<ConfigError>([&] { catalog.open_all({}, {}); }), "no data set is named");
}

class OneImage : public Dataset {
 public:
  int64_t size() const override { return 1; }
  Record record(int64_t /*index*/) const override { return {}; }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string name() const override { return "one"; }
  std::string format() const override { return "one_image"; }

 private:
  std::vector<std::string> names_{"thing"};
};

TEST_F(Catalog, TakesFormatsOfAProject) {
  register_dataset_format(
      "one_image", {"a test", [](const std::string&, const DatasetDefinition&, const OpenOptions&) {
                      return std::make_unique<OneImage>();
                    }});
  DatasetCatalog catalog;
  DatasetDefinition definition;
  definition.format = "one_image";
  catalog.add("mine", definition);
  const auto dataset = catalog.open("mine", {});
  EXPECT_EQ(dataset->format(), "one_image");
  EXPECT_EQ(dataset->category_id(1), 1);
  EXPECT_EQ(message_of<Error>([] { register_dataset_format("voc", {}); }),
            "data set format voc is registered already");
}

}  // namespace
}  // namespace ssdq
