#include "ssdq/checkpoint/checkpointer.h"

#include <filesystem>
#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/safetensors.h"
#include "ssdq/utils/error.h"
#include "tests/utils/temp_folder.h"

namespace ssdq::testing {
namespace {

Checkpoint at(int64_t iteration) {
  Checkpoint checkpoint;
  checkpoint.model = {{"w", torch::full({4}, static_cast<double>(iteration))}};
  checkpoint.iteration = iteration;
  return checkpoint;
}

std::set<std::string> files_in(const TempFolder& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST(Checkpointer, KeepsTheLastOnesAndPointsAtTheNewest) {
  const TempFolder folder;
  Checkpointer checkpointer(folder.path(), 2);
  EXPECT_EQ(checkpointer.latest(), std::nullopt);
  for (const int64_t iteration : {500, 1000, 1500}) {
    checkpointer.save(at(iteration));
  }
  EXPECT_EQ(files_in(folder),
            (std::set<std::string>{"model_0001000.safetensors", "model_0001500.safetensors",
                                   "last_checkpoint.txt"}));
  EXPECT_EQ(checkpointer.latest(), folder / "model_0001500.safetensors");
  EXPECT_EQ(load_checkpoint(*checkpointer.latest()).iteration, 1500);
}

TEST(Checkpointer, CountsBeyondSevenDigitsStayInOrder) {
  const TempFolder folder;
  Checkpointer checkpointer(folder.path(), 1);
  checkpointer.save(at(9999999));
  checkpointer.save(at(10000000));
  EXPECT_EQ(files_in(folder),
            (std::set<std::string>{"model_10000000.safetensors", "last_checkpoint.txt"}));
}

TEST(Checkpointer, LeavesLaterOnesOfAnotherRunAlone) {
  const TempFolder folder;
  Checkpointer(folder.path(), 1).save(at(4000));
  Checkpointer checkpointer(folder.path(), 1);
  checkpointer.save(at(1000));
  EXPECT_EQ(files_in(folder).count("model_0004000.safetensors"), 1U);
  EXPECT_EQ(checkpointer.latest(), folder / "model_0001000.safetensors");
}

TEST(Checkpointer, ZeroKeepsAll) {
  const TempFolder folder;
  Checkpointer checkpointer(folder.path(), 0);
  for (int64_t iteration = 1; iteration <= 4; ++iteration) {
    checkpointer.save(at(iteration));
  }
  EXPECT_EQ(files_in(folder).size(), 5U);
}

TEST(Checkpointer, TheFinalOneIsResumedFrom) {
  const TempFolder folder;
  Checkpointer checkpointer(folder.path(), 1);
  checkpointer.save(at(10));
  checkpointer.save_final(at(20));
  EXPECT_EQ(checkpointer.latest(), folder / "model_final.safetensors");
}

TEST(Checkpointer, AMissingOrWrongPointerMeansTheNewestSoundFile) {
  const TempFolder folder;
  Checkpointer checkpointer(folder.path(), 0);
  for (const int64_t iteration : {10, 20, 30}) {
    checkpointer.save(at(iteration));
  }
  const std::string newest = folder / "model_0000030.safetensors";
  for (const char* pointer :
       {"model_0000040.safetensors\n", "", "../x", ".", "/etc/passwd\n", "last_checkpoint.txt"}) {
    write_text(folder / "last_checkpoint.txt", pointer);
    EXPECT_EQ(checkpointer.latest(), newest) << pointer;
  }
  std::filesystem::remove(folder / "last_checkpoint.txt");
  EXPECT_EQ(checkpointer.latest(), newest);
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 1);
  EXPECT_EQ(checkpointer.latest(), folder / "model_0000020.safetensors");
  write_text(folder / "last_checkpoint.txt", "model_0000030.safetensors\n");
  EXPECT_EQ(checkpointer.latest(), folder / "model_0000020.safetensors");
}

TEST(Checkpointer, BareWeightsAreNotResumedFrom) {
  const TempFolder folder;
  write_safetensors(folder / "model_0000010.safetensors", {{{"w", torch::ones(1)}}, {}});
  EXPECT_EQ(Checkpointer(folder.path(), 1).latest(), std::nullopt);
}

TEST(Checkpointer, BestIsReplacedByBetterOnly) {
  const TempFolder folder;
  Checkpointer checkpointer(folder.path(), 1);
  EXPECT_TRUE(checkpointer.save_best("mAP", 0.5, at(1)));
  EXPECT_FALSE(checkpointer.save_best("mAP", 0.5, at(2)));
  EXPECT_FALSE(checkpointer.save_best("mAP", std::numeric_limits<double>::quiet_NaN(), at(3)));
  EXPECT_TRUE(checkpointer.save_best("mAP", 0.6, at(4)));
  const auto best = load_checkpoint(folder / "model_best.safetensors");
  EXPECT_EQ(best.iteration, 4);
  EXPECT_EQ(best.extra.at("best_metric"), "mAP");
  EXPECT_EQ(best.extra.at("best_value"), "0.6");
  EXPECT_EQ(checkpointer.latest(), std::nullopt);
}

TEST(Checkpointer, AResumedRunRemembersItsBestExactly) {
  const TempFolder folder;
  const double value = 1.0 / 3;
  Checkpointer(folder.path(), 1).save_best("mAP", value, at(1));
  Checkpointer resumed(folder.path(), 1, true);
  ASSERT_TRUE(resumed.best());
  EXPECT_EQ(resumed.best()->value, value);
  EXPECT_FALSE(resumed.save_best("mAP", value, at(2)));
  EXPECT_TRUE(resumed.save_best("AP50", 0.1, at(3)));
  EXPECT_TRUE(Checkpointer(folder.path(), 1).save_best("mAP", 0.01, at(4)));
}

TEST(Checkpointer, AFullDiskLosesNothing) {
  const TempFolder folder;
  Checkpointer checkpointer(folder.path(), 1);
  checkpointer.save(at(10));
  {
    const FileSizeLimit limit(100);
    EXPECT_THROW(checkpointer.save(at(20)), Error);
  }
  EXPECT_EQ(files_in(folder),
            (std::set<std::string>{"model_0000010.safetensors", "last_checkpoint.txt"}));
  EXPECT_EQ(load_checkpoint(*checkpointer.latest()).iteration, 10);
}

TEST(Checkpointer, AnUnwritableFolderIsOneSentence) {
  const TempFolder folder;
  write_text(folder / "file", "");
  EXPECT_EQ(message_of<Error>([&] { const Checkpointer checkpointer(folder / "file/out", 1); }),
            folder / "file/out: cannot create the folder for checkpoints: Not a directory");
}

}  // namespace
}  // namespace ssdq::testing
