// Images a second of the training pipeline (decode, augmentation, matching) over the JPEGs of a
// folder:
//   bench_input_pipeline [FOLDER] [THREADS] [SECONDS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "ssdq/data/image_reader.h"
#include "ssdq/data/loader.h"
#include "ssdq/utils/error.h"

namespace {

class FolderDataset final : public ssdq::Dataset {
 public:
  explicit FolderDataset(const std::string& folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const auto extension = entry.path().extension();
      if (extension == ".jpg" || extension == ".jpeg") {
        paths_.push_back(entry.path().string());
      }
    }
    std::sort(paths_.begin(), paths_.end());
  }
  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  ssdq::Record record(int64_t index) const override {
    ssdq::Record record;
    record.image_path = record.image_id = paths_[index];
    record.objects = {{{40, 50, 200, 250}, 1}, {{220, 100, 330, 300}, 2}, {{10, 10, 90, 120}, 3}};
    return record;
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string name() const override { return "folder"; }
  std::string format() const override { return "folder"; }

 private:
  std::vector<std::string> paths_;
  std::vector<std::string> names_{"a", "b", "c"};
};

void measure(const FolderDataset& data, ssdq::LoaderOptions options, int threads, double seconds) {
  options.num_workers = threads == 1 ? 0 : threads;
  ssdq::TrainLoader loader(data, options);
  loader.recycle(loader.next());
  const auto start = std::chrono::steady_clock::now();
  double elapsed = 0;
  int64_t images = 0;
  while (elapsed < seconds) {
    ssdq::Batch batch = loader.next();
    images += batch.size;
    loader.recycle(std::move(batch));
    elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const double rate = static_cast<double>(images) / elapsed;
  std::printf("%d thread%s: %.0f images/s, %.0f per thread\n", threads, threads == 1 ? "" : "s",
              rate, rate / threads);
}

}  // namespace

int main(int argc, char** argv) try {
  const FolderDataset data(argc > 1 ? argv[1] : "datasets/bccd");
  const int threads =
      argc > 2 ? std::atoi(argv[2]) : static_cast<int>(std::thread::hardware_concurrency());
  const double seconds = argc > 3 ? std::atof(argv[3]) : 5;
  const ssdq::PriorsConfig config;
  std::vector<ssdq::Size2> maps;
  for (const int side : {38, 19, 10, 5, 3, 1}) {
    maps.push_back({side, side});
  }
  const ssdq::Matcher matcher(ssdq::make_priors(config, maps, {300, 300}), 0.5F, {});
  ssdq::LoaderOptions options;
  options.num_priors = matcher.num_priors();
  options.match = [&](const std::vector<ssdq::Object>& objects) { return matcher.match(objects); };
  std::printf("%lld images, %d priors, 300 x 300\n", static_cast<long long>(data.size()),
              matcher.num_priors());
  measure(data, options, 1, seconds);
  if (threads > 1) {
    measure(data, options, threads, seconds);
  }
  return 0;
} catch (const ssdq::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
