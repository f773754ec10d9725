#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets_testing.h"

namespace ssdq {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int status = -1;
  std::string output;  // stdout and stderr
};

Outcome shell(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    return outcome;
  }
  std::array<char, 4096> buffer{};
  while (fgets(buffer.data(), static_cast<int>(buffer.size()), pipe) != nullptr) {
    outcome.output += buffer.data();
  }
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// Runs the download scripts against small archives behind file:// URLs.
class GetScripts : public testing::DatasetTest {
 protected:
  void SetUp() override {
    DatasetTest::SetUp();
    if (shell("command -v curl && command -v python3").status != 0) {
      GTEST_SKIP() << "curl and python3, which this test needs, are not installed";
    }
  }

  Outcome run(const std::string& script, const std::string& arguments) const {
    return shell("'" SSDQ_SOURCE_DIR "/datasets/" + script + "' --mirror 'file://" +
                 path("mirror") + "' --root '" + path("root") + "' " + arguments);
  }

  void pack_voc() const {
    write("source/VOCdevkit/VOC2007/JPEGImages/000001.jpg", "image");
    write("mirror/keep", "");
    ASSERT_EQ(shell("tar -C '" + path("source") + "' -cf '" +
                    path("mirror/VOCtrainval_06-Nov-2007.tar") + "' VOCdevkit")
                  .status,
              0);
  }
};

TEST_F(GetScripts, HelpSaysWhatIsFetched) {
  for (const char* script : {"get_voc.sh", "get_coco.sh"}) {
    const Outcome outcome = run(script, "--help");
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.output, HasSubstr("Usage: "));
  }
}

TEST_F(GetScripts, VocIsLaidOutWhereItsRootIsExpected) {
  pack_voc();
  const Outcome outcome = run("get_voc.sh", "--no-checksum 2007-trainval");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_TRUE(std::filesystem::exists(path("root/VOC2007/JPEGImages/000001.jpg")));
  EXPECT_THAT(outcome.output, HasSubstr("VOC_ROOT=" + path("root")));
  EXPECT_THAT(run("get_voc.sh", "--no-checksum 2007-trainval").output, HasSubstr("already there"));
}

TEST_F(GetScripts, WrongChecksumStopsBeforeUnpacking) {
  pack_voc();
  const Outcome outcome = run("get_voc.sh", "2007-trainval");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.output, HasSubstr("MD5"));
  EXPECT_FALSE(std::filesystem::exists(path("root/VOC2007")));
}

TEST_F(GetScripts, ResumesAPartialDownload) {
  pack_voc();
  const std::filesystem::path archive = path("mirror/VOCtrainval_06-Nov-2007.tar");
  const auto size = std::filesystem::file_size(archive);
  const std::string partial = path("root/downloads/VOCtrainval_06-Nov-2007.tar.part");
  std::filesystem::create_directories(path("root/downloads"));
  std::filesystem::copy_file(archive, partial);
  std::filesystem::resize_file(partial, size / 3);
  EXPECT_EQ(run("get_voc.sh", "--no-checksum 2007-trainval").status, 0);
  EXPECT_TRUE(std::filesystem::exists(path("root/VOC2007/JPEGImages/000001.jpg")));
}

TEST_F(GetScripts, CocoIsLaidOutWhereItsRootIsExpected) {
  write("source/annotations/instances_val2017.json", "{}");
  write("mirror/annotations/keep", "");
  ASSERT_EQ(shell("cd '" + path("source") + "' && python3 -m zipfile -c '" +
                  path("mirror/annotations/annotations_trainval2017.zip") + "' annotations/")
                .status,
            0);
  const Outcome outcome = run("get_coco.sh", "--no-checksum 2017-annotations");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_TRUE(std::filesystem::exists(path("root/annotations/instances_val2017.json")));
}

TEST_F(GetScripts, UnknownPartsAndMissingFilesAreOneSentence) {
  const Outcome unknown = run("get_voc.sh", "2009");
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.output, HasSubstr("get_voc.sh: unknown part '2009'; parts are "));
  const Outcome missing = run("get_voc.sh", "2007-test");
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.output, HasSubstr("could not download"));
}

}  // namespace
}  // namespace ssdq
