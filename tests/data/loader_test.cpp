#include "ssdq/data/loader.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class Loader : public testing::Test, public Dataset {
 protected:
  Loader() : folder_(std::filesystem::temp_directory_path() / "ssdq_loader_test") {
    std::filesystem::create_directories(folder_);
    for (int i = 0; i < 7; ++i) {
      cv::Mat image(60 + i, 80, CV_8UC3);
      cv::randu(image, 0, 255);
      cv::imwrite(path(i), image);
    }
    options_.batch_size = 3;
    options_.image_size = {32, 40};
    options_.seed = 9;
    options_.num_priors = 2;
    options_.match = [](const std::vector<Object>& objects) {
      Targets targets;
      targets.labels = {static_cast<int64_t>(objects.size()), 0};
      targets.locations.resize(2);
      return targets;
    };
  }
  ~Loader() override { std::filesystem::remove_all(folder_); }

  int64_t size() const override { return 7; }
  Record record(int64_t index) const override {
    Object object;
    object.box = {10, 10, 50, 40};
    object.label = 1;
    return {std::to_string(index), path(index), 0, 0, {object}};
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string name() const override { return "test"; }
  std::string format() const override { return "test"; }

  std::string path(int64_t index) const {
    return (folder_ / (std::to_string(index) + ".jpg")).string();
  }

  std::vector<Batch> load(int workers, int64_t start, int count) {
    options_.num_workers = workers;
    TrainLoader loader(*this, options_, start);
    std::vector<Batch> batches;
    for (int i = 0; i < count; ++i) {
      batches.push_back(loader.next());
      if (i % 2 == 0) {
        loader.recycle(Batch(batches.back()));
      }
    }
    return batches;
  }

  // The batches of options_.world_size ranks from `start` on are parts of those in `whole`.
  void expect_parts(const std::vector<Batch>& whole, int64_t start) {
    std::vector<std::vector<Batch>> parts;
    for (options_.rank = 0; options_.rank < options_.world_size; ++options_.rank) {
      parts.push_back(load(2, start, static_cast<int>(static_cast<int64_t>(whole.size()) - start)));
    }
    for (size_t i = static_cast<size_t>(start); i < whole.size(); ++i) {
      Batch together;
      for (const auto& part : parts) {
        const Batch& batch = part[i - static_cast<size_t>(start)];
        const auto append = [](auto& to, const auto& from) {
          to.insert(to.end(), from.begin(), from.end());
        };
        append(together.indices, batch.indices);
        append(together.images, batch.images);
        append(together.labels, batch.labels);
      }
      EXPECT_EQ(together.indices, whole[i].indices);
      EXPECT_EQ(together.images, whole[i].images);
      EXPECT_EQ(together.labels, whole[i].labels);
    }
  }

  std::filesystem::path folder_;
  std::vector<std::string> names_{"thing"};
  LoaderOptions options_;
};

TEST_F(Loader, BatchesDoNotDependOnWorkersOrRestart) {
  const auto expected = load(0, 0, 8);
  const auto threaded = load(4, 0, 8);
  const auto resumed = load(2, 5, 3);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(threaded[i].indices, expected[i].indices);
    EXPECT_EQ(threaded[i].images, expected[i].images);
    EXPECT_EQ(threaded[i].labels, expected[i].labels);
    if (i >= 5) {
      EXPECT_EQ(resumed[i - 5].images, expected[i].images);
    }
  }
  EXPECT_NE(expected[0].images, expected[1].images);
}

TEST_F(Loader, TestLoaderGivesEachImageOnceInOrder) {
  options_.num_workers = 3;
  TestLoader loader(*this, options_);
  std::vector<int64_t> indices;
  std::vector<int64_t> sizes;
  while (const auto batch = loader.next()) {
    indices.insert(indices.end(), batch->indices.begin(), batch->indices.end());
    sizes.push_back(batch->size);
    EXPECT_EQ(batch->original_sizes[0].height, 60 + batch->indices[0]);
    EXPECT_EQ(batch->images.size(), batch->size * 32U * 40 * 3);
  }
  EXPECT_THAT(indices, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(sizes, testing::ElementsAre(3, 3, 1));
  EXPECT_FALSE(loader.next());
}

// In augmentation too, over the edges of epochs, and after a restart with other ranks.
TEST_F(Loader, RanksTogetherMakeTheBatchesOfOneRank) {
  for (const auto end : {EpochEnd::kContinue, EpochEnd::kDrop, EpochEnd::kPad}) {
    options_.epoch_end = end;
    options_.batch_size = 6;
    options_.world_size = 1;
    options_.rank = 0;
    const auto whole = load(0, 0, 4);
    for (const int ranks : {2, 3, 6}) {
      options_.batch_size = 6 / ranks;
      options_.world_size = ranks;
      for (const int64_t start : {0, 2}) {
        expect_parts(whole, start);
      }
    }
  }
}

TEST_F(Loader, EpochsEndAsAsked) {
  options_.batch_size = 2;
  options_.world_size = 2;  // steps of 4 of the 7 images
  const auto images = [&](EpochEnd end, int64_t step) {
    options_.epoch_end = end;
    std::vector<int64_t> both;
    for (options_.rank = 0; options_.rank < 2; ++options_.rank) {
      const auto own = load(0, step, 1).front().indices;
      both.insert(both.end(), own.begin(), own.end());
    }
    return both;
  };
  const auto first = images(EpochEnd::kContinue, 0), second = images(EpochEnd::kContinue, 1);
  EXPECT_EQ(images(EpochEnd::kDrop, 0), first);
  EXPECT_EQ(images(EpochEnd::kPad, 0), first);
  auto padded = images(EpochEnd::kPad, 1);
  EXPECT_EQ(padded.back(), first.front());
  padded.pop_back();
  EXPECT_EQ(padded, std::vector<int64_t>(second.begin(), second.begin() + 3));
  EXPECT_EQ(images(EpochEnd::kDrop, 1), images(EpochEnd::kPad, 2));  // the second epoch
}

TEST_F(Loader, TestLoadersOfRanksShareTheImagesOut) {
  for (const int ranks : {2, 3, 9}) {
    options_.world_size = ranks;
    std::vector<int64_t> all;
    for (options_.rank = 0; options_.rank < ranks; ++options_.rank) {
      TestLoader loader(*this, options_);
      while (const auto batch = loader.next()) {
        EXPECT_EQ(batch->original_sizes[0].height, 60 + batch->indices[0]);
        all.insert(all.end(), batch->indices.begin(), batch->indices.end());
      }
    }
    EXPECT_THAT(all, testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6));
  }
}

TEST_F(Loader, ErrorsReachTheCallerWithTheImageNamed) {
  std::filesystem::remove(path(4));
  for (const int workers : {0, 3}) {
    options_.num_workers = workers;
    TestLoader loader(*this, options_);
    EXPECT_TRUE(loader.next());
    try {
      loader.next();
      FAIL() << "image 4 is missing";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(path(4)));
    }
    EXPECT_EQ(loader.next()->indices, std::vector<int64_t>{6});
  }
}

TEST_F(Loader, StopsInTheMiddleOfABatch) {
  options_.num_workers = 4;
  for (int i = 0; i < 20; ++i) {
    TrainLoader loader(*this, options_);
  }
}

}  // namespace
}  // namespace ssdq
