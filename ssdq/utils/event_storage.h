#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace ssdq {

// What a run reports: scalars and pictures by name, each stamped with the iteration it was put at.
// The trainer owns one and passes it to its hooks and writers. Not thread-safe.
//
// Names that ConsoleWriter knows: "loss" (total), "loss/<term>", "lr", "time" and "data_time"
// (seconds of the whole step and of waiting for its batch), "sparsity/near_zero" (a share).
class EventStorage {
 public:
  static constexpr size_t kWindow = 20;  // values a smoothed scalar looks back on

  struct Scalar {
    double value = 0;           // as last put; may be NaN or infinite
    int64_t iteration = 0;      // when it was last put
    uint64_t version = 0;       // version() of the storage just after that put
    bool smooth = true;         // a person wants to see the window's median rather than the value
    std::deque<double> window;  // the last kWindow values, oldest first
  };

  struct Image {
    std::string png;  // the encoded file
    int width = 0;    // px
    int height = 0;   // px
    std::string caption;
    int64_t iteration = 0;
    uint64_t version = 0;
  };

  // The iteration that the next puts belong to: the number of training steps completed.
  void set_iteration(int64_t iteration) { iteration_ = iteration; }
  int64_t iteration() const { return iteration_; }

  void put(const std::string& name, double value, bool smooth = true);
  void put_image(const std::string& name, std::string png, int width, int height,
                 std::string caption = "");

  // Pictures are large: call this once all writers have seen them.
  void clear_images() { images_.clear(); }

  const std::map<std::string, Scalar>& scalars() const { return scalars_; }
  const std::map<std::string, Image>& images() const { return images_; }

  // Grows with every put. A writer remembers it to write each value once.
  uint64_t version() const { return version_; }

  // The value last put, or nothing if there never was one.
  std::optional<double> latest(const std::string& name) const;

  // Over the window; of an even number of values the median is the mean of the two in the middle.
  // NaN when any value is. Nothing if the name is unknown.
  std::optional<double> median(const std::string& name) const;
  std::optional<double> mean(const std::string& name) const;

  // What a person should see: the median of a smoothed scalar, the latest value of another.
  std::optional<double> displayed(const std::string& name) const;

  // The scalars put at the current iteration.
  std::map<std::string, double> snapshot() const;

 private:
  const Scalar* find(const std::string& name) const;

  std::map<std::string, Scalar> scalars_;
  std::map<std::string, Image> images_;
  int64_t iteration_ = 0;
  uint64_t version_ = 0;
};

}  // namespace ssdq
